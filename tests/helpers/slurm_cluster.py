"""A real SLURM on this machine's loopback: munge, slurmctld, slurmd, counted fake GPUs.

Root only. Starts and stops its own daemons and nothing else.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ETC = Path("/etc/slurm")
GPUS = 2
NEEDED = ("munged", "slurmctld", "slurmd", "sbatch")
ACCOUNTING = ("slurmdbd", "mariadbd", "mariadb-install-db")

SLURM_CONF = """\
ClusterName=toy
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# How long a requeued job waits before it starts again.
AuthInfo=cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SwitchType=switch/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherParams=OverMemoryKill
JobAcctGatherFrequency=task=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=100000
GresTypes=gpu
ReturnToService=2
MinJobAge=300
KillWait=10
OverTimeLimit=0
JobRequeue=1
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobcomp.txt
{accounting}
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=32 Boards=1 SocketsPerBoard=1 CoresPerSocket=32 ThreadsPerCore=1 RealMemory=256000 Gres=gpu:h200:{gpus} Feature=h200 State=UNKNOWN
PartitionName=gpu Nodes={host} Default=YES MaxTime=08:00:00 DefMemPerCPU=200 State=UP
PartitionName=cpu Nodes={host} Default=NO MaxTime=02:00:00 DefMemPerCPU=200 State=UP
"""

SLURMDBD_CONF = """\
AuthType=auth/munge
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={dbd_port}
SlurmUser=root
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StoragePass=x
StorageLoc=slurm_acct_db
"""


def unavailable(accounting: bool = False) -> str | None:
    """Why no cluster can be started here; None where it can."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    needed = NEEDED + (ACCOUNTING if accounting else ())
    missing = [name for name in needed if not shutil.which(name, path=path)]
    if missing:
        return f"not installed: {', '.join(missing)}"
    if os.geteuid() != 0:
        return "starting SLURM's daemons needs root"
    clear_dead_links()
    if (ETC / "slurm.conf").exists():
        return "this machine has a SLURM of its own (/etc/slurm/slurm.conf)"
    return None


def clear_dead_links() -> None:
    """Take away links that a killed test run left: no slurmctld stands behind them."""
    for link in ETC.glob("*.conf"):
        if not link.is_symlink():
            continue
        pid = link.readlink().parent / "slurmctld.pid"
        if not (pid.exists() and alive(int(pid.read_text() or 0))):
            link.unlink()


@dataclass
class Job:
    """One line of SLURM's own record of ended jobs."""

    number: int
    state: str
    comment: str
    start: float
    end: float
    fields: dict[str, str]


class Cluster:
    """One controller and one node."""

    def __init__(self, folder: Path, accounting: bool = False) -> None:
        self.folder, self.accounting = folder, accounting
        self.links: list[Path] = []
        self.started: list[Path] = []

    def __enter__(self) -> "Cluster":
        # A test run that is told to end takes its cluster down first.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- up and down -------------------------------------------------------------------

    def start(self) -> None:
        """All daemons; returns when the node is idle."""
        for name in ("state", "spool"):
            (self.folder / name).mkdir(parents=True)
        for folder in (self.folder, *self.folder.parents[:-1]):
            folder.chmod(folder.stat().st_mode | 0o111)
        ports = [free_port() for _ in range(3)]
        facts = {"host": socket.gethostname().partition(".")[0], "gpus": GPUS}
        facts |= {"folder": self.folder, "port": ports[0], "node_port": ports[1]}
        storage = "AccountingStorageType=accounting_storage/none"
        if self.accounting:
            storage = (
                "AccountingStorageType=accounting_storage/slurmdbd\n"
                "AccountingStorageHost=localhost\n"
                f"AccountingStoragePort={ports[2]}\n"
                "AccountingStorageTRES=gres/gpu\n"
                "AccountingStoreFlags=job_comment"
            )
        devices = "".join(
            f"NodeName={facts['host']} Name=gpu Type=h200 File={device}\n"
            for device in ("/dev/null", "/dev/zero")[:GPUS]
        )
        self.link("slurm.conf", SLURM_CONF.format(accounting=storage, **facts))
        self.link("gres.conf", devices)
        self.munge()
        if self.accounting:
            text = SLURMDBD_CONF.format(dbd_port=ports[2], **facts)
            self.link("slurmdbd.conf", text)
            self.database()
        self.controller()
        self.daemon("slurmd", "slurmd.pid")
        wait(lambda: out("sinfo", "-h", "-o", "%T").strip() in ("idle", "idle\nidle"))

    def link(self, name: str, text: str) -> None:
        """A configuration file at the default path: job steps drop SLURM_CONF."""
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(0o600 if "dbd" in name else 0o644)
        ETC.mkdir(exist_ok=True)
        (ETC / name).symlink_to(self.folder / name)
        self.links.append(ETC / name)

    def munge(self) -> None:
        """Start munged unless it runs already."""
        if not subprocess.run(["munge", "-n"], capture_output=True).returncode:
            return
        for folder, mode in (("/run/munge", "755"), ("/var/log/munge", "700")):
            command = [
                "install",
                "-d",
                "-o",
                "munge",
                "-g",
                "munge",
                "-m",
                mode,
                folder,
            ]
            subprocess.run(command, check=True)
        command = ["runuser", "-u", "munge", "--", "/usr/sbin/munged"]
        subprocess.run(command, check=True)
        self.started.append(Path("/run/munge/munged.pid"))

    def controller(self) -> None:
        """Start slurmctld; also after `stop_controller`."""
        self.daemon("slurmctld", "slurmctld.pid", "-i")
        wait(lambda: "UP" in out("scontrol", "ping"))

    def stop_controller(self) -> None:
        """Stop slurmctld alone; jobs go on."""
        kill(self.folder / "slurmctld.pid")

    def daemon(self, name: str, pid: str, *arguments: str) -> None:
        subprocess.run([f"/usr/sbin/{name}", *arguments], check=True)
        path = self.folder / pid
        wait(lambda: path.exists() and path.read_text().strip())
        if path not in self.started:
            self.started.append(path)

    def database(self) -> None:
        """MariaDB on a socket of its own, and slurmdbd."""
        home = self.folder / "mysql"
        home.mkdir()
        shutil.chown(home, "mysql", "mysql")
        socket_path, data = home / "s", home / "data"
        common = ["--no-defaults", "--user=mysql", f"--datadir={data}"]
        with (home / "log").open("w") as log:
            subprocess.run(
                [
                    *("mariadb-install-db", *common, "--skip-test-db"),
                    "--auth-root-authentication-method=socket",
                ],
                check=True,
                stdout=log,
                stderr=log,
            )
            subprocess.Popen(
                [
                    *("/usr/sbin/mariadbd", *common, f"--socket={socket_path}"),
                    *("--skip-networking", f"--pid-file={home}/pid"),
                    "--innodb-lock-wait-timeout=900",
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        client = ["mariadb", "--no-defaults", "-S", str(socket_path), "-e"]
        wait(lambda: out(*client, "select 1"))
        self.started.append(home / "pid")
        grant = "create database slurm_acct_db; create user slurm@localhost identified"
        grant += " by 'x'; grant all on slurm_acct_db.* to slurm@localhost"
        subprocess.run([*client, grant], check=True)
        environment = os.environ | {"MYSQL_UNIX_PORT": str(socket_path)}
        subprocess.run(["/usr/sbin/slurmdbd"], check=True, env=environment)
        self.started.append(self.folder / "slurmdbd.pid")
        add = ["sacctmgr", "-i", "-Q", "add"]
        wait(
            lambda: not subprocess.run(["sacctmgr", "-n", "list", "cluster"]).returncode
        )
        subprocess.run([*add, "cluster", "toy"], check=True, capture_output=True)
        for line in (
            ["account", "lab", "Cluster=toy"],
            ["user", "root,nobody,games", "Account=lab"],
        ):
            subprocess.run([*add, *line], check=True, capture_output=True)

    def stop(self) -> None:
        """Cancel our jobs, stop our daemons, take our links away."""
        if self.folder.joinpath("slurmctld.pid").exists():
            for partition in ("gpu", "cpu"):
                cancel = ["scancel", f"--partition={partition}"]
                subprocess.run(cancel, capture_output=True)
            # Nobody would kill what outlives its slurmd.
            with contextlib.suppress(TimeoutError):
                wait(lambda: not out("squeue", "-h").strip())
        for path in reversed(self.started):
            kill(path)
        for link in self.links:
            link.unlink(missing_ok=True)

    # --- what SLURM itself has on record -----------------------------------------------

    def record(self) -> list[Job]:
        """Jobs that ended, from the job completion log."""
        path = self.folder / "jobcomp.txt"
        jobs = []
        for line in path.read_text().splitlines() if path.exists() else ():
            fields = dict(w.split("=", 1) for w in line.split() if "=" in w)
            start, end = (seconds(fields[key]) for key in ("StartTime", "EndTime"))
            jobs.append(
                Job(int(fields["JobId"]), fields["JobState"], "", start, end, fields)
            )
        return jobs

    def queue(self, workdir: Path | None = None) -> list[tuple[int, str, str]]:
        """All jobs known to the controller: number, state, comment; of one folder."""
        text = out("squeue", "-h", "-t", "all", "-S", "i", "-o", "%i|%T|%Z|%k")
        rows = [line.split("|", 3) for line in text.strip().splitlines()]
        return [
            (int(number), state, comment)
            for number, state, folder, comment in rows
            if workdir is None or folder == str(workdir)
        ]


def out(*command: str) -> str:
    """What a command prints; empty where it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    return "" if done.returncode else done.stdout or " "


def seconds(text: str) -> float:
    """A SLURM time stamp as seconds since the epoch; 0 for a job that never ran."""
    if text in ("Unknown", "None"):
        return 0.0
    return time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))


def wait(condition: Callable[[], object], seconds: float = 60) -> None:
    """Until the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:.0f} s")
        time.sleep(0.1)


def kill(path: Path) -> None:
    """End the process of a pid file, and wait for it to remove the file or die."""
    try:
        number = int(path.read_text())
        os.kill(number, signal.SIGTERM)
    except (OSError, ValueError):
        return
    end = time.monotonic() + 20
    while alive(number) and time.monotonic() < end:
        time.sleep(0.1)
    path.unlink(missing_ok=True)


def alive(number: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2][1] != "Z"
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
