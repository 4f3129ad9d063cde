"""Messages between pixl and the Python system: jsonpickle writes what pixl reads, and reads what pixl writes."""
import base64
import dataclasses
import datetime as dt
import itertools
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import time
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


def codec(form, lines, **env):
    r = subprocess.run([CODEC, form], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True, env={**os.environ, **env})
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
    unknown = make(message, extract_generated_timestamp=dt.datetime(2021, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/London")))
    [line] = codec("json", [jsonpickle.encode(unknown)], TZDIR="/nowhere")
    assert line == "refused: not_found: message: extract_generated_timestamp: a time zone that the tz database of this system does not have"


# --- zones by name: Python's own reader of the tz database is the judge ------------------------------------------------

class Asked:
    """Local times and the offsets that Python knows for them, a message for each."""

    def __init__(self):
        self.wire, self.want = [], []

    def ask(self, name, local, zone):
        seen = set()
        for t in (local, local.replace(fold=1)):
            payload = bytearray(t.year.to_bytes(2, "big") + bytes([t.month, t.day, t.hour, t.minute, t.second, 0, 0, 0]))
            payload[2] |= 0x80 * t.fold
            self.wire.append(LINE % (base64.b64encode(payload).decode(), name))
            self.want.append((name, t.isoformat(), t.fold, t.replace(tzinfo=zone).isoformat()))
            seen.add(t.replace(tzinfo=zone).utcoffset())
        return len(seen) == 2

    def check(self, **env):
        got = [json.loads(line)["extract_generated_timestamp"] if line[0] == "{" else line for line in codec("json", self.wire, **env)]
        assert [(w, g) for w, g in zip(self.want, got) if w[-1] != g] == []
        return len(got)


LINE = ('{"py/object": "core.patient_queue.message.Message", "mrn": "1", "accession_number": "2", "study_date": null, '
        '"procedure_occurrence_id": 4, "project_name": "p", "extract_generated_timestamp": {"py/object": "datetime.datetime", '
        '"__reduce__": [{"py/type": "datetime.datetime"}, ["%s", {"py/reduce": [{"py/function": "zoneinfo.ZoneInfo._unpickle"}, '
        '{"py/tuple": ["%s", 1]}]}]]}}')
EPOCH = dt.datetime(1970, 1, 1)


def block(data, at, size):
    n = struct.unpack(">6I", data[at + 20:at + 44])
    return n, n[3] * (size + 1) + n[4] * 6 + n[5] + n[2] * (size + 4) + n[1] + n[0]


def listed_changes(data):
    """(seconds since 1970, offset before, offset after) of a TZif file of version 2."""
    at = 44 + block(data, 0, 4)[1]
    n = block(data, at, 8)[0]
    at += 44
    times = struct.unpack(f">{n[3]}q", data[at:at + 8 * n[3]])
    indexes = data[at + 8 * n[3]:at + 9 * n[3]]
    offsets = [struct.unpack(">i", data[i:i + 4])[0] for i in range(at + 9 * n[3], at + 9 * n[3] + 6 * n[4], 6)]
    before = [offsets[0]] + [offsets[i] for i in indexes]
    return list(zip(times, before, before[1:]))


def ask_around(asked, name, zone, change):
    utc, *offsets = change
    twice = 0
    for s in {utc + o + beside for o in offsets for beside in (-1, 0, 1)}:
        try:
            local = EPOCH + dt.timedelta(seconds=s)
        except OverflowError:
            continue
        twice += asked.ask(name, local, zone)
    return twice


@pytest.fixture(scope="module")
def every_zone(tmp_path_factory):
    """Folders with the zones of this system: as they are, and as zic writes them when only the footer tells of the future."""
    slim = tmp_path_factory.mktemp("slim")
    subprocess.run(["/usr/sbin/zic", "-b", "slim", "-d", slim, "/usr/share/zoneinfo/tzdata.zi"], check=True)
    unlike = {}
    for name in sorted(zoneinfo.available_timezones() - {"localtime"}):
        if (slim / name).exists():
            unlike.setdefault((slim / name).read_bytes(), name)
    assert len(unlike) > 300
    yield {"slim": slim, "system": pathlib.Path("/usr/share/zoneinfo")}, list(unlike.values())
    zoneinfo.reset_tzpath()


@pytest.mark.parametrize("which", ["slim", "system"])
def test_every_change_of_every_zone(every_zone, which):
    folders, names = every_zone
    zoneinfo.reset_tzpath([str(folders[which])])
    asked, twice = Asked(), 0
    for name in names:
        zone = zoneinfo.ZoneInfo.no_cache(name)
        changes = listed_changes((folders[which] / name).read_bytes())
        for change in changes if which == "slim" else changes[:2] + changes[-4:]:
            twice += ask_around(asked, name, zone, change)
        for local in (dt.datetime(1, 1, 1), dt.datetime(1799, 12, 31, 23, 59, 59), dt.datetime(9999, 12, 31, 23, 59, 59)):
            asked.ask(name, local, zone)
    assert twice > 1000                                  # times that a clock skips or shows twice
    assert asked.check(TZDIR=str(folders[which])) > (100000 if which == "slim" else 20000)


def test_times_that_only_the_footer_knows(every_zone):
    folders, names = every_zone
    zoneinfo.reset_tzpath([str(folders["slim"])])
    asked, twice, day = Asked(), 0, 86400
    for name in names:
        zone = zoneinfo.ZoneInfo.no_cache(name)

        def offset(s):
            return int((dt.datetime(1970, 1, 1, tzinfo=UTC) + dt.timedelta(seconds=s)).astimezone(zone).utcoffset().total_seconds())
        for year in (2038, 2096, 2100, 9998):
            first = (dt.date(year, 1, 1) - dt.date(1970, 1, 1)).days * day
            for s in range(first, first + 366 * day, day):
                if offset(s) == offset(s + day):
                    continue
                low, high = s, s + day
                while high - low > 1:
                    middle = (low + high) // 2
                    low, high = (middle, high) if offset(middle) == offset(low) else (low, middle)
                twice += ask_around(asked, name, zone, (high, offset(low), offset(high)))
            asked.ask(name, dt.datetime(year, 1, 1), zone)
            asked.ask(name, dt.datetime(year, 12, 31, 23, 59, 59), zone)
    assert twice > 500
    assert asked.check(TZDIR=str(folders["slim"])) > 5000


def tzif(footer):
    """A file of a footer alone."""
    one = b"TZif2" + bytes(15) + struct.pack(">6I", 0, 0, 0, 0, 1, 4) + struct.pack(">iBB", 0, 0, 0) + b"UTC\0"
    return one + one + b"\n" + footer.encode() + b"\n"


# Weekdays: Python's reader is asked above.  Of days by number, which no zone has, it takes some for others; the C library does not.
RULES = ["AAA0BBB,0,100", "AAA0BBB,364/0,J2", "AAA5BBB4,J1/0,J365/23", "AAA-3BBB,J59,J60", "AAA0BBB-2,59/3:30:01,60", "AAA3BBB,0/0,J365/25",
         "<+0330>-3:30<+0430>,J79/24,J263/24", "<-11>11:59:59<-10>10,J60/0,J300", "AAA-1BBB,M3.5.0,M10.5.0/3", "AAA-10BBB,M10.1.0,M4.1.0/3",
         "AAA12:30BBB,M2.5.6/24,M11.1.4/-1", "AAA3BBB,M3.5.4/50,M10.5.4/50", "IST-1GMT0,M10.5.0,M3.5.0/1", "AAA-14", "AAA+0:0:7"]


@pytest.mark.parametrize("rule", RULES)
def test_rules_as_the_c_library_has_them(tmp_path, monkeypatch, rule):
    (tmp_path / "Rule").write_bytes(tzif(rule))
    monkeypatch.setenv("TZ", rule)
    time.tzset()
    wire, want = [], []
    for year in (2023, 2024, 2100):
        first = (dt.date(year, 1, 1) - dt.date(1970, 1, 1)).days * 86400
        for utc in range(first, first + 366 * 86400, 3607):
            offset = time.localtime(utc).tm_gmtoff
            local = EPOCH + dt.timedelta(seconds=utc + offset)
            others = {time.localtime(utc + d).tm_gmtoff for d in (-4 * 3600, 4 * 3600)}
            payload = local.year.to_bytes(2, "big") + bytes([local.month, local.day, local.hour, local.minute, local.second, 0, 0, 0])
            if others == {offset}:                       # else the time may be shown twice
                wire.append(LINE % (base64.b64encode(payload).decode(), "Rule"))
                want.append(local.replace(tzinfo=dt.timezone(dt.timedelta(seconds=offset))).isoformat())
    monkeypatch.delenv("TZ")
    time.tzset()
    got = [json.loads(line)["extract_generated_timestamp"] for line in codec("json", wire, TZDIR=str(tmp_path))]
    assert [(w, g) for w, g in zip(want, got) if w != g] == [] and len(want) > 25000


def test_zones_on_two_times_and_damage(message, tmp_path):
    zone = zoneinfo.ZoneInfo("Europe/London")
    times = [(dt.datetime(2020, 1, 1, tzinfo=zone), dt.datetime(2020, 7, 1, tzinfo=zone)), (None, dt.datetime(2020, 7, 1, tzinfo=zone)),
             (None, dt.datetime(2023, 10, 29, 1, 30, tzinfo=zone)), (None, dt.datetime(1, 1, 1, tzinfo=zone)),
             (None, dt.datetime(2020, 7, 1, tzinfo=pytz.timezone("Europe/London"))), (None, pytz.timezone("Etc/GMT+5").localize(dt.datetime(2021, 7, 1)))]
    messages = [make(message, study_date=d, extract_generated_timestamp=t) for d, t in times]
    wire = [jsonpickle.encode(m) for m in messages]
    assert '"py/id": 2' in wire[0] and codec("json", wire) == [plain(m) for m in messages]
    good = pathlib.Path("/usr/share/zoneinfo/Europe/London").read_bytes()
    (tmp_path / "Europe").mkdir()
    (tmp_path / "secret").write_bytes(good)
    for damaged in (b"", good[:-1], good[:1000], b"TZif", good[:32] + b"\xff" * 4 + good[36:], bytes(70000)):
        (tmp_path / "Europe/London").write_bytes(damaged)
        assert codec("json", wire[1:2], TZDIR=str(tmp_path))[0].startswith("refused: not_found: ")
    names = ["../secret", "Europe/../secret", str(tmp_path / "secret"), "Europe", "Europe/", "Europe//London", "./secret", "E/" * 400 + "E", "Ü", "A B"]
    (tmp_path / "Europe/London").write_bytes(good)
    for name in names:
        line = LINE % ("B+QFFwEBAQAAAA==", json.dumps(name)[1:-1])
        assert codec("json", [line], TZDIR=str(tmp_path / "Europe"))[0].startswith("refused: not_found: ")
        assert codec("json", [line], TZDIR=str(tmp_path))[0].startswith("refused: not_found: ")


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

    def moment():
        zone = r.choice([None, UTC, dt.timezone(dt.timedelta(seconds=r.randrange(-86399, 86400)))])
        return dt.datetime(r.randrange(1, 10000), r.randrange(1, 13), r.randrange(1, 29), r.randrange(24), r.randrange(60), r.randrange(60),
                           r.choice([0, r.randrange(1000000)]), zone)

    messages = [make(message, mrn=text(60), accession_number=text(60), extract_generated_timestamp=moment(), study_date=moment().date(),
                     procedure_occurrence_id=r.randrange(-2**63, 2**63), series_uid="\\".join(["1.2.3", "1.2.4"][:r.randrange(3)]))
                for _ in range(500)]
    wire = [jsonpickle.encode(m) for m in messages]
    assert codec("json", wire) == [plain(m) for m in messages]
    if message is Today:
        assert codec("jsonpickle", wire) == wire
