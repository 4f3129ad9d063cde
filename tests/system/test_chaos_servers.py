"""Faults at random while workers share a PostgreSQL, a RabbitMQ, an archive and an FTPS server; then all ends, and the books are opened.
storms.py says how to choose the time and the seed."""
import json
import os
import random
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import orthancs
import psycopg2
import pytest
from cables import Cable
from chaos import Diary, Fault, Storm, Watch, part_of
from ftpd import N_PASSIVE, FtpServer
from hospital import Hospital
from ledger import Cohort, Ledger, open_rows, read_zip
from processes import n_descriptors, status_kib
from rabbitmq import Broker
from storms import MOST_KIB, SANITIZED, SEED, SOAK_S, Clock, Disk, Program, add_batch, weather
from test_ftps import to_ftps
from test_orthanc_services import PRIMARY

SERVERS_S = 0.6 * SOAK_S                 # test_chaos.py has the rest
LEASE_S = 10
BATCH = 20
QUIET_S = 150                            # for what is left when all faults have ended
WITH_POSTGRES = os.path.join(os.path.dirname(__file__), "..", "support", "with-postgres")
SERVER = os.environ["TEST_POSTGRES"]


class Folder:
    """The archive as a folder."""

    KINDS = Cohort.KINDS

    def __init__(self, h, stack):
        self.h, self.is_there = h, threading.Lock()

    environment = property(lambda self: {"PIXL_ARCHIVE_URL": f"directory:{self.h.archive}", "PIXL_REFRESH_S": "1"})

    def take(self, files):
        """Its files are where they belong already."""

    def unmount_archive(self, dice):
        with self.is_there:
            away = self.h.archive.with_name("away")
            self.h.archive.rename(away)
            yield "archive"
            away.rename(self.h.archive)

    def faults(self):
        return [Fault(self.unmount_archive, "archive", 2, (0.3, 3), 2)]


class Orthancs:
    """The hospital's archive behind an Orthanc that is its cache.  A damaged file is refused there, one that is mixed up filed elsewhere."""

    KINDS = [k for k in Cohort.KINDS if k not in ("damaged", "mixed up")]

    def __init__(self, h, stack):
        self.is_there = threading.Lock()
        rig = stack.enter_context(orthancs.Rig())
        self.vna = rig.orthanc("VNA", start=False)
        self.raw = rig.orthanc("RAW", modalities={PRIMARY: self.vna}, start=False)
        self.vna.let("RAW", self.raw)
        self.vna.start()
        self.raw.start()
        self.cable = stack.enter_context(Cable(self.raw.http_port))
        # They die with the thread that has started them.
        self.starter = stack.enter_context(ThreadPoolExecutor(1))

    @property
    def environment(self):
        url = self.raw.login_url.replace(str(self.raw.http_port), str(self.cable.port))
        return {"PIXL_ARCHIVE_URL": "orthanc+" + url, "PIXL_QUERY_TIMEOUT": "3", "PIXL_DICOM_TRANSFER_TIMEOUT": "8"}

    def take(self, files):
        for f in files:
            self.vna.upload(f.read_bytes())

    def kill_orthanc(self, dice):
        self.raw.kill()
        yield "raw"
        self.starter.submit(self.raw.start).result()

    def kill_archive(self, dice):
        with self.is_there:
            self.vna.kill()
            yield "the hospital's"
            self.starter.submit(self.vna.start).result()

    def stall_archive(self, dice):
        with self.is_there:
            self.vna.process.send_signal(signal.SIGSTOP)
            yield "the hospital's"
            self.vna.process.send_signal(signal.SIGCONT)

    def cut_orthanc(self, dice):
        yield f"{self.cable.cut()} connections"

    def stall_orthanc(self, dice):
        self.cable.stall()
        yield "raw"
        self.cable.go_on()

    def faults(self):
        return [Fault(self.kill_orthanc, "raw", 0.5, (0.5, 3), 5), Fault(self.kill_archive, "vna", 0.5, (0.5, 3), 5),
                Fault(self.stall_archive, "vna", 1, (0.5, 5), 3), Fault(self.cut_orthanc, "raw", 2, gap=1),
                Fault(self.stall_orthanc, "raw", 1, (0.5, 4), 2)]


class Worker:
    """A service that is started again whenever it has ended, as systemd does it."""

    def __init__(self, name, state, base, *args):
        self.name, self.state, self.args = name, state, args
        self.clock, self.log = Clock(base / f"{name}.clock"), base / f"{name}.log"
        self.log.touch()
        self.program, self.program_judged, self.again_at, self.lives = None, None, 0.0, 0

    def judged(self):
        """What was wrong with a life that has ended."""
        code, sent = self.program.process.returncode, self.program.sent
        may = {0} if signal.SIGTERM in sent else set()
        if signal.SIGKILL in sent:
            may |= {-signal.SIGKILL, 75}
        if "  delivered " not in self.program.said():               # not yet at work: something was away, or it was told to stop
            may |= {75, -signal.SIGTERM}
        return [*self.program.crashes(), *([] if code in may else [f"it ended with {code}: {self.program.said()[-1500:]}"])]


class Servers:
    def __init__(self, base, archive, stack):
        self.name = f"servers and {archive.__name__}"
        self.diary, self.dice, self.wrong, self.hit, self.most_kib = Diary(), random.Random(part_of(SEED, self.name)), [], {}, 0
        self.stack = stack
        c = psycopg2.connect(f"host={SERVER}/sock user=pixl dbname=postgres")
        with c, c.cursor() as cursor:
            cursor.execute("DROP SCHEMA IF EXISTS pixl_pipeline CASCADE")
        c.close()
        self.spool_disk = Disk(base / "spool-disk", "128m", "mode=700")
        self.ftpd = FtpServer()
        self.ftp_disk = Disk(self.ftpd.root, "512m", "mode=750,uid=65534,gid=65534" if os.getuid() == 0 else "mode=750")
        stack.enter_context(self.ftpd)
        self.ftps = stack.enter_context(Cable(*range(self.ftpd.passive, self.ftpd.passive + N_PASSIVE + 1), host="127.0.0.2"))
        self.postgres = stack.enter_context(Cable(f"{SERVER}/sock/.s.PGSQL.5432"))
        self.broker = stack.enter_context(Broker())
        self.amqp = stack.enter_context(Cable(self.broker.port))
        self.h = h = Hospital(base / "hospital")
        to_ftps(h.configs / f"{h.project}.yaml", self.ftpd)
        (h.base / "secrets.env").write_text(self.ftpd.secrets(h.project, "127.0.0.2"))
        (h.base / "secrets.env").chmod(0o600)
        self.archive = archive(h, stack)
        self.cohort = Cohort(h)
        one, two, three = self.spool_disk.path / "one", base / "two", base / "three"
        self.workers = [Worker("one", one, base), Worker("one-delivers", one, base, "--only", "deliver"), Worker("two", two, base),
                        Worker("steady", three, base)]
        self.steady = self.workers[-1]   # is never killed
        self.spools = [state / "spool" for state in (one, two, three)]
        self.populate_log = base / "populate.log"
        self.populate_log.touch()
        self.logs = [*(w.log for w in self.workers), self.populate_log]

    @property
    def environment(self):
        return {**self.h.environment, **self.archive.environment, "PIXL_SECRETS_URL": f"file:{self.h.base}/secrets.env",
                "PIXL_STORE_URL": f"postgresql://pixl@127.0.0.1:{self.postgres.port}/postgres",
                "PIXL_QUEUE_URL": f"amqp://guest:guest@127.0.0.1:{self.amqp.port}/%2f", "PIXL_SWEEP_S": "5",
                "PIXL_LEASE_S": str(LEASE_S), "PIXL_DEFLATE_LEVEL": "9", "PIXL_WORKERS": "2", "PIXL_FTPS_TIMEOUT_S": "3",
                # So that all its threads have begun before the storm does, and what they free is not kept for each of them.
                "PIXL_MAX_MESSAGES_IN_FLIGHT": "6", "MALLOC_ARENA_MAX": "1"}

    def query(self, sql):
        c = psycopg2.connect(f"host={SERVER}/sock user=pixl dbname=postgres options='-c search_path=pixl_pipeline'")
        try:
            c.autocommit = True
            with c.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()
        finally:
            c.close()

    def n_open(self):
        try:
            return open_rows(self.query)
        except psycopg2.Error:                                    # it is away just now
            return None

    # --- faults of programs

    def any_worker(self, dice, mortal):
        w = dice.choice(self.workers[:-1] if mortal else self.workers)
        return w, w.program if w.program is not None and w.program.is_alive() else None

    def kill_worker(self, dice):
        w, program = self.any_worker(dice, True)
        did = program and program.kill(dice)
        w.again_at = time.monotonic() + dice.uniform(0, 2)
        yield did and f"{w.name}: {did}"

    def terminate_worker(self, dice):
        w, program = self.any_worker(dice, True)
        did = program and program.hit(signal.SIGTERM, "supervisor")
        w.again_at = time.monotonic() + dice.uniform(0, 2)
        yield did and f"{w.name}: {did}"
        if program and dice.random() < 0.3:
            program.hit(signal.SIGTERM, "supervisor")

    def stall_worker(self, dice):
        w, program = self.any_worker(dice, False)
        life = program.stall(dice) if program else iter(())
        did = next(life, None)
        yield did and f"{w.name}: {did}"
        next(life, None)

    def sleep_over_lease(self, dice):
        return self.stall_worker(dice)

    def step_clock(self, dice):
        w = dice.choice(self.workers)
        life = w.clock.step(dice)
        yield f"{w.name}: {next(life)}"
        next(life, None)

    # --- faults of servers

    def kill_postgres(self, dice):
        subprocess.run([WITH_POSTGRES, "--kill"], check=True)
        yield "it"
        subprocess.run([WITH_POSTGRES, "--start"], check=True)

    def cut_postgres(self, dice):
        yield f"{self.postgres.cut()} connections"

    def stall_postgres(self, dice):
        self.postgres.stall()
        yield "all connections"
        self.postgres.go_on()

    def end_sessions(self, dice):
        self.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pixl'")
        yield "all of PostgreSQL"

    def kill_broker(self, dice):
        self.broker.kill()
        yield "it"
        self.broker.start()

    def cut_broker(self, dice):
        yield f"{self.amqp.cut()} connections"

    def stall_broker(self, dice):
        self.amqp.stall()
        yield "all connections"
        self.amqp.go_on()

    def kill_ftpd(self, dice):
        self.ftpd.kill()
        yield "it"
        self.ftpd.start()

    def stall_ftpd(self, dice):
        self.ftpd.stall()
        yield "it"
        self.ftpd.go_on()

    def cut_ftps(self, dice):
        yield f"{self.ftps.cut()} connections"

    def stall_ftps(self, dice):
        self.ftps.stall()
        yield "all connections"
        self.ftps.go_on()

    def faults(self):
        return [Fault(self.kill_worker, "workers", 6, gap=0.5), Fault(self.terminate_worker, "workers", 2, gap=0.5),
                Fault(self.stall_worker, "stopped", 2, (0.2, 3)), Fault(self.sleep_over_lease, "stopped", 0.7, (LEASE_S + 1, LEASE_S + 4)),
                Fault(self.step_clock, "clocks", 3, (0.5, 6)),
                Fault(self.kill_postgres, "postgres", 1, (0.2, 3), 3), Fault(self.cut_postgres, "postgres", 2, gap=1),
                Fault(self.stall_postgres, "postgres", 1, (0.5, 4), 2), Fault(self.end_sessions, "postgres", 1, gap=1),
                Fault(self.kill_broker, "broker", 0.4, (0.2, 3), 10), Fault(self.cut_broker, "broker", 2, gap=1),
                Fault(self.stall_broker, "broker", 1, (0.5, 4), 2),
                Fault(self.kill_ftpd, "ftpd", 1, (0.3, 3), 2), Fault(self.stall_ftpd, "ftpd", 1, (0.5, 5), 2),
                Fault(self.cut_ftps, "ftpd", 3, gap=0.5), Fault(self.stall_ftps, "ftpd", 1, (0.5, 5), 2),
                *self.archive.faults(), *self.spool_disk.faults(1.5), *self.ftp_disk.faults(1.5)]

    # --- work

    def keep(self):
        """Starts what has ended, measures what lives."""
        for w in self.workers:
            p = w.program
            if p is not None and p.is_alive():
                self.most_kib = max(self.most_kib, p.most_kib())
                continue
            if p is not None and p is not w.program_judged:
                w.program_judged = p
                self.diary.note(f"{w.name} ended with {p.process.returncode}")
                self.wrong += [f"{w.name}, life {w.lives}: {x}" for x in w.judged()]
                w.again_at = max(w.again_at, time.monotonic() + 0.3)
            if time.monotonic() >= w.again_at:
                self.start(w)

    def start(self, w):
        w.lives += 1
        w.program_judged = None
        w.program = Program(self.h.command("worker", "--state-dir", w.state, *w.args), self.h.base, w.log,
                            {**self.environment, **w.clock.environment})

    def populate(self, may_be_killed):
        """Until it has worked; it is killed in its course now and then."""
        with self.archive.is_there:
            before = len(self.h.files)
            self.diary.note(add_batch(self.cohort, self.dice, BATCH, self.archive.KINDS))
            self.archive.take(list(self.h.files.values())[before:])
        until = time.monotonic() + QUIET_S
        while not self.wrong:
            p = Program(self.h.command("populate", self.h.csv, "--rate", "50"), self.h.base, self.populate_log, self.environment)
            dies_at = time.monotonic() + (self.dice.uniform(0.01, 0.3) if may_be_killed and self.dice.random() < 0.4 else QUIET_S)
            while p.is_alive() and time.monotonic() < dies_at:
                self.keep()
                time.sleep(0.02)
            p.end()
            self.diary.note(f"populate ended with {p.process.returncode}")
            if p.process.returncode == 0:
                return
            self.wrong += p.crashes()
            if time.monotonic() > until:
                self.wrong.append(f"populate does not succeed: {p.said()[-1500:]}")

    def until_done(self):
        until = time.monotonic() + QUIET_S
        while self.n_open() != 0 and not self.wrong:
            self.keep()
            time.sleep(0.1)
            if time.monotonic() > until:
                left = self.query("SELECT image_id, state, reason, attempts, crashes, owner, spool, not_before_us, lease_until_us FROM image"
                                  " WHERE state IN ('queued', 'retrieving', 'deidentified', 'delivering') LIMIT 20")
                self.wrong.append(f"studies do not come to an end: {left}")

    def through(self, seconds):
        everybody, self.workers = self.workers, [self.steady]
        self.start(self.steady)          # alone, so that it has done all that it ever does before it is measured
        self.populate(False)
        self.until_done()
        before = self.measured()
        self.workers = everybody
        self.diary.note(f"the storm begins; steady has {before}")
        with Watch(lambda: self.ftpd.root, read_zip) as watch:
            with Storm(part_of(SEED, self.name + " storm"), seconds, self.faults(), self.diary, per_s=2) as storm:
                while storm.is_on() and not self.wrong:
                    left = self.n_open()
                    if left is not None and left < BATCH:
                        self.populate(True)
                    self.keep()
                    time.sleep(0.1)
            self.hit = storm.hit
            self.diary.note("calm")
            self.until_done()
            self.populate(False)
            self.until_done()
        self.wrong += watch.wrong if watch.seen else ["nothing was delivered"]
        if not self.wrong:
            self.finish(before)

    def measured(self):
        """Memory and descriptors of the one that lives on, at rest."""
        time.sleep(2)
        worker = self.steady.program.family()[-2]
        return status_kib(worker, "RssAnon"), n_descriptors(worker)

    def finish(self, before):
        after = self.measured()
        self.diary.note(f"steady had {before}, has {after} (KiB, descriptors)")
        if self.steady.lives != 1:
            self.wrong.append("the steady worker has ended")
        if not SANITIZED and after[0] > before[0] + 8 * 1024:
            self.wrong.append(f"its memory grew from {before[0]} to {after[0]} KiB")
        if after[1] > before[1] + 8:
            self.wrong.append(f"its descriptors grew from {before[1]} to {after[1]}")
        if self.most_kib > MOST_KIB and not SANITIZED:
            self.wrong.append(f"a worker took {self.most_kib} KiB")
        self.retry_crashed()
        self.stop()
        self.sweep()
        self.h.pixl("export-patient-data", "--project", self.h.project, **self.extra())
        dead = json.loads(self.h.pixl("failed", "--dead", "--json", **self.extra()).stdout)["dead"]
        if dead:
            self.wrong.append(f"{dead} dead letters")
        self.wrong += Ledger(self.cohort, self.query, self.ftpd.root, self.spools, [*self.logs, *self.ftpd.folder.glob("*.log")],
                             parts_may_stay=2 + len(self.cohort.wanted) // 100).check()

    def extra(self):
        return {k: v for k, v in self.environment.items() if k.startswith("PIXL_")}

    def retry_crashed(self):
        ((n,),) = self.query("SELECT count(*) FROM image WHERE state = 'failed' AND reason = 'crashed'")
        if n:                                                     # killed twice with the same study in hand
            self.diary.note(f"{n} studies failed as crashed; a person orders a retry")
            self.h.pixl("retry", **self.extra())
            self.until_done()

    def stop(self):
        """As systemd does it; each must end by itself, and well."""
        for w in self.workers:
            while w.program.is_alive() and "worker.began" not in w.program.said():
                time.sleep(0.05)                                  # before, it ends with 75
        for w in self.workers:
            w.program.sent.clear()
            w.program.hit(signal.SIGTERM, "supervisor")
        for w in self.workers:
            code = w.program.process.wait(60)
            if code != 0:
                self.wrong.append(f"told to stop, {w.name} ended with {code}")

    def sweep(self):
        """A worker that is alone on its state directory tidies up after those that were killed there."""
        for w in self.workers:
            if not w.args:
                self.start(w)
                until = time.monotonic() + 30
                while "worker.began" not in w.program.said() and time.monotonic() < until:
                    time.sleep(0.05)
                time.sleep(0.5)
        self.workers = [w for w in self.workers if not w.args]
        self.stop()

    def told(self):
        lives = {w.name: w.lives for w in self.workers}
        return f"{len(self.cohort.wanted)} studies, lives {lives}, at most {self.most_kib} KiB"

    def end(self):
        for w in self.workers:
            if w.program is not None:
                w.program.end()
        if self.ftpd.server is not None:
            self.ftpd.kill()
        for disk in (self.spool_disk, self.ftp_disk):
            disk.end()
        self.stack.close()


# One of them, as the seed says; a long soak has time for each.
ARCHIVES = (Folder, Orthancs) if SOAK_S >= 300 else (random.Random(part_of(SEED, "archive")).choice((Folder, Orthancs)),)


@pytest.mark.parametrize("archive", ARCHIVES)
def test_servers(tmp_path, capfd, archive):
    with ExitStack() as stack:
        site = Servers(tmp_path, archive, stack)
        weather(f"workers, PostgreSQL, RabbitMQ, FTPS and {archive.__name__.lower()}", site, SERVERS_S / len(ARCHIVES), capfd)
