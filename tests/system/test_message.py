"""Messages between pixl and the Python system: jsonpickle writes what pixl reads, and reads what pixl writes."""
import dataclasses
import datetime as dt
import itertools
import json
import os
import random
import subprocess
import sys
import types
import zoneinfo

import jsonpickle
import pytest
import pytz

CODEC = os.environ["MESSAGE_CODEC"]
UTC = dt.timezone.utc
HOUR = dt.timezone(dt.timedelta(hours=1))
WEST = dt.timezone(dt.timedelta(hours=-5, minutes=-30))


@dataclasses.dataclass
class Seed:
    mrn: str
    accession_number: str
    study_date: dt.date
    procedure_occurrence_id: int
    project_name: str
    extract_generated_timestamp: dt.datetime


@dataclasses.dataclass
class Today:
    mrn: str
    accession_number: str
    study_uid: str
    series_uid: str
    study_date: dt.date
    procedure_occurrence_id: int
    project_name: str
    extract_generated_timestamp: dt.datetime


@pytest.fixture(params=[Seed, Today])
def message(request):
    """The class under the name that the Python system has for it."""
    names = ["core", "core.patient_queue", "core.patient_queue.message"]
    before = {n: sys.modules.get(n) for n in names}
    for n in names:
        sys.modules[n] = types.ModuleType(n)
    cls = request.param
    cls.__module__, cls.__qualname__, cls.__name__ = names[-1], "Message", "Message"
    sys.modules[names[-1]].Message = cls
    yield cls
    for n, module in before.items():
        sys.modules.pop(n)
        if module is not None:
            sys.modules[n] = module


def make(cls, **fields):
    values = dict(mrn="987654321", accession_number="AA1", study_uid="1.2.3", series_uid="", study_date=dt.date(2020, 5, 23),
                  procedure_occurrence_id=4, project_name="lung-study", extract_generated_timestamp=dt.datetime(2023, 12, 7, 14, 8, 58))
    values.update(fields)
    return cls(**{f.name: values[f.name] for f in dataclasses.fields(cls)})


def codec(form, lines):
    r = subprocess.run([CODEC, form], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    out = r.stdout.splitlines()
    assert len(out) == len(lines) and not r.stderr
    return out


def plain(m):
    """What jsonpickle calls not unpicklable, and today's fields."""
    fields = {"study_uid": "", "series_uid": "", **dataclasses.asdict(m)}
    order = [f.name for f in dataclasses.fields(Today)]
    day = fields["study_date"]
    fields["study_date"] = (day.date() if isinstance(day, dt.datetime) else day).isoformat() if day else None
    t = fields["extract_generated_timestamp"]
    fields["extract_generated_timestamp"] = (t if isinstance(t, dt.datetime) else dt.datetime(t.year, t.month, t.day)).isoformat()
    fields["procedure_occurrence_id"] = int(fields["procedure_occurrence_id"])
    return json.dumps({k: fields[k] for k in order})


TIMES = [dt.datetime(2023, 12, 7, 14, 8, 58), dt.datetime(2024, 2, 29, 23, 59, 59, 999999), dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31),
         dt.datetime(2023, 1, 1, 0, 1, tzinfo=UTC), dt.datetime(2024, 6, 30, 1, 2, 3, 4, tzinfo=HOUR), dt.datetime(2024, 1, 1, tzinfo=WEST),
         dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(seconds=-86399))),
         dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2), "CAT"))]


def test_every_field_as_jsonpickle_writes_it(message):
    texts = ["1", 'M"\\/R', "RÖNTGEN é", "中文", "\U0001F600", "</x>&'"]
    messages = [make(message, extract_generated_timestamp=t, mrn=m, study_date=d, procedure_occurrence_id=p)
                for t, (m, d, p) in itertools.product(TIMES, zip(texts, [dt.date(2020, 5, 23), None, dt.date(1, 1, 1), dt.date(9999, 12, 31),
                                                                         dt.datetime(2020, 5, 23, 1), dt.date(2024, 2, 29)],
                                                                 [0, -1, 2**63 - 1, -2**63, 3.0, "17"]))]
    wire = [jsonpickle.encode(m) for m in messages]
    want = [plain(m) for m in messages]
    assert codec("json", wire) == want
    assert codec("json", want) == want
    back = codec("jsonpickle", wire)
    assert codec("json", back) == want
    if message is Today:                                 # byte for byte, where it says what a request can say
        as_is = [i for i, m in enumerate(messages) if type(m.procedure_occurrence_id) is int and not isinstance(m.study_date, dt.datetime)
                 and not (m.extract_generated_timestamp.tzinfo and m.extract_generated_timestamp.tzname() == "CAT")]
        assert len(as_is) > 25 and [back[i] for i in as_is] == [wire[i] for i in as_is]
    for text, m in zip(back, messages):
        read = jsonpickle.decode(text)
        assert type(read) is message
        day = m.study_date.date() if isinstance(m.study_date, dt.datetime) else m.study_date
        assert (read.mrn, read.study_date) == (m.mrn, day) and type(read.study_date) is type(day)
        assert read.extract_generated_timestamp == m.extract_generated_timestamp
        assert read.extract_generated_timestamp.utcoffset() == m.extract_generated_timestamp.utcoffset()
        assert read.procedure_occurrence_id == int(m.procedure_occurrence_id)


def test_objects_that_come_twice(message):
    day, time, delta = dt.date(2020, 5, 23), dt.datetime(2023, 12, 7, 1, tzinfo=HOUR), dt.timedelta(hours=3)
    pairs = [(day, day), (time, time), (dt.datetime(2020, 1, 1, tzinfo=HOUR), time), (dt.datetime(2020, 1, 1, tzinfo=UTC), TIMES[4]),
             (dt.datetime(2020, 1, 1, tzinfo=dt.timezone(delta)), dt.datetime(2020, 1, 1, tzinfo=dt.timezone(delta, "X"))),
             (dt.datetime(2020, 1, 1, tzinfo=pytz.UTC), dt.datetime(2021, 1, 1, tzinfo=pytz.UTC))]
    messages = [make(message, study_date=d, extract_generated_timestamp=t) for d, t in pairs]
    wire = [jsonpickle.encode(m) for m in messages]
    assert all('"py/id"' in w for w in wire)
    assert codec("json", wire) == [plain(m) for m in messages]


def test_zones_of_python(message):
    london = pytz.timezone("Europe/London")
    summer, winter = dt.datetime(2021, 7, 1, 12), dt.datetime(2021, 1, 1, 12)
    understood = [dt.datetime(2021, 7, 1, tzinfo=pytz.UTC), london.localize(summer), london.localize(winter),
                  dt.datetime(2021, 7, 1, tzinfo=pytz.FixedOffset(-90)), pytz.timezone("America/St_Johns").localize(winter),
                  dt.datetime(2021, 7, 1, tzinfo=zoneinfo.ZoneInfo("UTC")), pytz.timezone("Etc/GMT").localize(summer)]
    messages = [make(message, extract_generated_timestamp=t) for t in understood]
    assert codec("json", [jsonpickle.encode(m) for m in messages]) == [plain(m) for m in messages]
    named = [dt.datetime(2021, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/London")), pytz.timezone("Etc/GMT+5").localize(summer)]
    for line in codec("json", [jsonpickle.encode(make(message, extract_generated_timestamp=t)) for t in named]):
        assert line.startswith("refused: unsupported: message: extract_generated_timestamp: a time zone by name") and "London" not in line


def test_no_object_is_made_of_a_body(message, tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "made"),))
    bodies = [jsonpickle.encode(make(message, **{field: Evil()})) for field in ("mrn", "study_date", "extract_generated_timestamp")]
    bodies += [jsonpickle.encode(Evil()), jsonpickle.encode([make(message)]), jsonpickle.encode({"mrn": "1"}), jsonpickle.encode("text")]
    assert all(line.startswith("refused: ") for line in codec("json", bodies))
    assert not (tmp_path / "made").exists()


def test_random_messages_survive(message):
    r = random.Random(7)
    alphabet = [chr(c) for c in range(0x20, 0x7F)] + list("éßΩЖ中😀")

    def text(n):
        return "x" + "".join(r.choice(alphabet) for _ in range(r.randrange(n))) + "y"

    def time():
        zone = r.choice([None, UTC, dt.timezone(dt.timedelta(seconds=r.randrange(-86399, 86400)))])
        return dt.datetime(r.randrange(1, 10000), r.randrange(1, 13), r.randrange(1, 29), r.randrange(24), r.randrange(60), r.randrange(60),
                           r.choice([0, r.randrange(1000000)]), zone)

    messages = [make(message, mrn=text(60), accession_number=text(60), extract_generated_timestamp=time(), study_date=time().date(),
                     procedure_occurrence_id=r.randrange(-2**63, 2**63), series_uid="\\".join(["1.2.3", "1.2.4"][:r.randrange(3)]))
                for _ in range(500)]
    wire = [jsonpickle.encode(m) for m in messages]
    assert codec("json", wire) == [plain(m) for m in messages]
    if message is Today:
        assert codec("jsonpickle", wire) == wire
