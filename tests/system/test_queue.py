"""pixl beside a RabbitMQ and a PostgreSQL server: hints, messages of the Python system, dead letters.  pika is the client that
the Python system uses."""
import json
import os
import re

import pika
import psycopg2
import pytest
from hospital import MARK, ROOT, Hospital
from rabbitmq import Broker

SERVER = os.environ["TEST_POSTGRES"]
DSN = f"host={SERVER}/sock user=pixl dbname=postgres"
URL = f"postgresql:///postgres?host={SERVER}/sock&user=pixl"


class WithQueue(Hospital):
    queue = None

    def pixl(self, *args, **more):
        return super().pixl(*args, **({"PIXL_STORE_URL": URL, "PIXL_QUEUE_URL": self.queue} | more))


@pytest.fixture(scope="module")
def broker():
    with Broker() as b:
        yield b


@pytest.fixture
def channel(broker):
    connection = pika.BlockingConnection(pika.URLParameters(broker.url))
    channel = connection.channel()
    for name in ("imaging", "imaging-secondary", "imaging.dead"):
        channel.queue_delete(name)
    yield channel
    connection.close()


@pytest.fixture
def hospital(tmp_path, broker, channel):
    connection = psycopg2.connect(DSN)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("DROP SCHEMA IF EXISTS pixl_pipeline CASCADE")
    connection.close()
    h = WithQueue(tmp_path)
    h.queue = broker.url
    return h


def ready(channel, name="imaging"):
    return channel.queue_declare(name, passive=True).method.message_count


def bodies(channel, name="imaging"):
    out = []
    while True:
        how, properties, body = channel.basic_get(name, auto_ack=True)
        if how is None:
            return out
        out.append((properties.priority, json.loads(body)))


def states(h):
    out = {}
    for p in json.loads(h.pixl("status", "--json").stdout)["projects"]:
        out |= {k: v for k, v in p["states"].items() if v}
    return out


def test_populate_hints_every_row_once(hospital, channel):
    h = hospital
    for study in range(1, 6):
        h.ask(study)
    h.write_csv()
    h.pixl("populate", h.csv, "--priority", "3")
    h.pixl("populate", h.csv)
    got = bodies(channel)
    assert len(got) == 5 and {p for p, _ in got} == {3}
    assert list(got[0][1]) == ["mrn", "accession_number", "study_uid", "series_uid", "study_date", "procedure_occurrence_id",
                               "project_name", "extract_generated_timestamp"]
    assert {m["mrn"] for _, m in got} == {h.mrn(s) for s in range(1, 6)}


def test_the_form_for_a_python_consumer(hospital, channel):
    hospital.ask(1)
    hospital.write_csv()
    hospital.pixl("populate", hospital.csv, PIXL_MESSAGE_FORMAT="jsonpickle")
    [(_, message)] = bodies(channel)
    assert message["py/object"] == "core.patient_queue.message.Message"
    assert message["study_date"]["py/object"] == "datetime.date"


def test_a_queue_that_python_made_is_used_as_it_is(hospital, channel):
    channel.queue_declare("imaging", durable=True)
    hospital.ask(1)
    hospital.write_csv()
    hospital.pixl("populate", hospital.csv)
    assert ready(channel) == 1


def test_a_broker_that_is_away_loses_nothing(hospital, channel):
    h = hospital
    h.ask(1)
    h.write_csv()
    r = h.pixl("populate", h.csv, PIXL_QUEUE_URL="amqp://guest:secretword@127.0.0.1:1/%2f")
    assert "dispatch.waits" in r.stderr and r.stderr.count("dispatch.waits") == 1
    assert "secretword" not in r.stdout + r.stderr
    h.pixl("populate", h.csv)                    # nothing new: the row that has no hint gets it
    assert len(bodies(channel)) == 1


def test_a_broker_wants_a_store_on_a_server(hospital, broker, tmp_path):
    hospital.ask(1)
    hospital.write_csv()
    r = hospital.pixl("populate", hospital.csv, ok=(1, 2), PIXL_STORE_URL=f"sqlite:{tmp_path}/x.db")
    assert "PIXL_STORE_URL" in r.stderr and "guest:guest" not in r.stderr


def test_dead_letters(hospital, channel):
    h = hospital
    h.ask(1)
    h.write_csv()
    h.pixl("populate", h.csv)
    [(_, good)] = bodies(channel)
    channel.queue_declare("imaging.dead", durable=True)
    for body, reason in ((b"nonsense " + MARK.encode(), "not-json"), (json.dumps(good).encode(), "unknown-project"),
                         (json.dumps(good | {"project_name": "nobody", "mrn": MARK + "77"}).encode(), "unknown-project")):
        channel.basic_publish("", "imaging.dead", body, pika.BasicProperties(
            delivery_mode=2, headers={"x-pixl-reason": reason}, timestamp=1700000000))
    r = h.pixl("failed", "--dead")
    assert re.search(r"imaging +not-json +2023-11-14T22:13:20Z$", r.stdout, re.M), r.stdout
    assert re.search(r"imaging +unknown-project +2023-11-14T22:13:20Z image 1$", r.stdout, re.M), r.stdout
    assert "3 dead letters" in r.stdout and MARK not in r.stdout + r.stderr and ROOT not in r.stdout + r.stderr
    assert json.loads(h.pixl("failed", "--dead", "--json").stdout)["dead"] == 3
    again = json.loads(h.pixl("retry", "--dead", "--json").stdout)
    assert again == {"queued_again": 1, "left": 2}
    assert ready(channel, "imaging.dead") == 2
    assert "2 dead letters" in h.pixl("failed", "--dead").stdout
    r = h.pixl("failed", "--dead", ok=(1, 2), PIXL_QUEUE_URL="none:")
    assert "PIXL_QUEUE_URL" in r.stderr


def test_stop_and_purge(hospital, channel):
    h = hospital
    for study in (1, 2, 3):
        h.ask(study)
    h.write_csv()
    h.pixl("populate", h.csv)
    assert ready(channel) == 3
    r = h.pixl("stop", "--purge")
    assert "3 waiting studies are on hold" in r.stdout and "3 messages were thrown away" in r.stdout
    assert ready(channel) == 0 and states(h) == {"held": 3}
    assert json.loads(h.pixl("stop", "--purge", "--json").stdout) == {"rate": 0, "held": 0, "messages": 0}
    h.pixl("retry", "--state", "held")
    assert states(h) == {"queued": 3}
    r = h.pixl("stop", "--purge", "--archive", "primary", ok=(2,))
    assert "--purge" in r.stderr and states(h) == {"queued": 3}
    # The broker away: the rows are held all the same, and that is said.
    r = h.pixl("stop", "--purge", ok=(1, 75), PIXL_QUEUE_URL="amqp://guest:guest@127.0.0.1:1")
    assert "not all messages" in r.stderr and "guest:guest" not in r.stderr and states(h) == {"held": 3}


def test_queues_are_archives(hospital):
    h = hospital
    h.ask(1)
    h.write_csv()
    h.pixl("populate", h.csv)
    h.pixl("start", "--rate", "2", "--queues", "imaging")
    h.pixl("update", "--rate", "3", "--queues", "imaging-primary")
    assert {a["archive"]: a["rate"] for a in json.loads(h.pixl("status", "--json").stdout)["archives"]}["primary"] == 3
    r = h.pixl("stop", "--queues", "imaging-secondary", ok=(2,))
    assert "no archive of that name" in r.stderr
    r = h.pixl("stop", "--queues", "export", ok=(2,))
    assert "imaging-primary" in r.stderr


def test_stop_and_purge_without_a_queue(hospital, tmp_path):
    h = hospital
    own = {"PIXL_STORE_URL": f"sqlite:{tmp_path}/own.db", "PIXL_QUEUE_URL": "none:"}
    for study in (1, 2):
        h.ask(study)
    h.write_csv()
    h.pixl("populate", h.csv, **own)
    assert json.loads(h.pixl("stop", "--purge", "--json", **own).stdout) == {"rate": 0, "held": 2, "messages": 0}
    assert json.loads(h.pixl("retry", "--json", **own).stdout) == {"queued_again": 0}
    assert json.loads(h.pixl("retry", "--state", "held", "--json", **own).stdout) == {"queued_again": 2}
    assert json.loads(h.pixl("stop", "--purge", "--json", **own).stdout)["held"] == 2
    # A service elsewhere has another store: nothing here is held, nothing there is said.
    h.pixl("retry", "--state", "held", **own)
    r = h.pixl("stop", "--purge", ok=(2,), PIXL_IMAGING_API_HOST="127.0.0.1", PIXL_IMAGING_API_PORT="1", **own)
    assert "PIXL_IMAGING_API_HOST" in r.stderr and json.loads(h.pixl("stop", "--purge", "--json", **own).stdout)["held"] == 2
