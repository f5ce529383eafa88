"""Times fsvae and its peers side by side: the same model, batch and threads, taking turns in the same minutes.

    python run.py                          # CPU: batches of 1 and 64, 1 and 2 threads
    python run.py --device cuda            # batches of 1 and 256
    python run.py --quick                  # few rounds, to see that all works

Every program is a process that stays for all rounds, warm, and makes batches when its turn comes: A B C D, A B C D, ...
While one works the others wait for a line and use no processor time, which is measured. Before its timing each peer's
images are checked against fsvae's; one that is wrong has no time. Writes a table (Markdown) and all samples (JSON).
Needs nothing but Python itself; the peers' own needs are in requirements.txt.
"""
import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PEERS = ["reference", "conv2d", "optimised", "compile", "onnx"]
FSVAE = ["fsvae", "naive"]


class Program:
    """One of the programs, started for one batch size and number of threads."""

    def __init__(self, name, command, threads, log):
        self.name, self.waited, self.used, self.took = name, 0.0, 0.0, 0.0
        # fsvae and Mesa's drivers in software take no option for it.
        environment = {**os.environ, "RAYON_NUM_THREADS": str(threads), "LP_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT,
                                        env=environment)
        line = self.process.stdout.readline()
        if not line.startswith("ready"):
            self.stop()
            raise RuntimeError(f"{name} said {line.strip()!r} instead of ready")
        self.about = line.strip()[len("ready "):]
        self.turn, self.last_cpu = 1, None

    def cpu_seconds(self):
        """Processor time of the process so far, all threads; None where the system does not say."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def ask(self, batches):
        """Nanoseconds of each of so many batches."""
        before = self.cpu_seconds()
        if None not in (before, self.last_cpu):
            self.waited += before - self.last_cpu
        began = time.monotonic()
        print(batches, file=self.process.stdin, flush=True)
        answer = [int(word) for word in self.process.stdout.readline().split()]
        if len(answer) != batches:
            raise RuntimeError(f"{self.name} answered {len(answer)} times of {batches}")
        if before is not None:
            self.used += self.cpu_seconds() - before
            self.took += time.monotonic() - began
        return answer

    def processors(self):
        """How many processors it kept busy while it was asked; None where the system does not say."""
        return self.used / self.took if self.took else None

    def settle(self):
        """Notes the processor time after threads that wait actively for more work have given up."""
        self.last_cpu = self.cpu_seconds()

    def calibrate(self, seconds):
        """Warms up, and chooses how many batches a turn takes."""
        self.ask(2)
        fastest = min(self.ask(3)) / 1e9
        self.turn = max(3, min(2000, round(seconds / fastest)))
        self.used, self.took = 0.0, 0.0

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def peer_command(a, what, name, threads, batch):
    return [a.python, str(HERE / "peers.py"), what, name, "--model", a.model, "--threads", str(threads), "--batch", str(batch),
            "--device", a.device]


def command(a, name, threads, batch):
    kind, _, adapter = name.partition(":")
    if kind not in FSVAE:
        return peer_command(a, "serve", name, threads, batch)
    start = shlex.split(a.fsvae) if a.fsvae else ["cargo", "run", "--release", "--quiet", "--example", "peer", "--"]
    return [*start, "--backend", adapter or "cpu", "--batch", str(batch),
            *(["--model", a.model] if a.pass_model else []), *(["--naive"] if kind == "naive" else [])]


def is_right(a, name, threads, batch, log):
    """Whether a peer's images are fsvae's, and what the check said."""
    result = subprocess.run([*peer_command(a, "check", name, threads, batch), "--fsvae", a.cli], stdout=subprocess.PIPE,
                            stderr=log, text=True, cwd=ROOT)
    said = result.stdout.strip().splitlines()
    return result.returncode == 0, said[-1] if said else f"FAILED: the check of {name} ended with {result.returncode}, see the log"


def start_all(a, threads, batch, log):
    """The programs that are right and have started, and what was said of each."""
    programs, notes = [], {}
    for name in a.programs:
        if name in PEERS and not a.unchecked:
            right, notes[name] = is_right(a, name, threads, batch, log)
            print(" ", notes[name], flush=True)
            if not right:
                continue
        try:
            programs.append(Program(name, command(a, name, threads, batch), threads, log))
        except (RuntimeError, OSError) as error:
            notes[name] = f"FAILED: {error}"
            print(" ", notes[name], flush=True)
    return programs, notes


def measure(a, threads, batch, log):
    """All rounds of one batch size and number of threads."""
    print(f"{a.device}, batch {batch}, {threads} threads", flush=True)
    programs, notes = start_all(a, threads, batch, log)
    samples = {program.name: [] for program in programs}
    try:
        for program in programs:
            program.calibrate(a.seconds)
            time.sleep(a.pause)
            program.settle()
        started = time.monotonic()
        for round_ in range(a.rounds):
            for program in programs:
                samples[program.name].append(program.ask(program.turn))
                time.sleep(a.pause)
                program.settle()
            print(f"  round {round_ + 1} of {a.rounds}", flush=True)
        took = time.monotonic() - started
    finally:
        for program in programs:
            program.stop()
    waited = {program.name: program.waited for program in programs}
    for name, seconds in waited.items():
        if seconds > 0.01 * took:
            print(f"  warning: {name} used {seconds:.2f} s of processor time while it waited", flush=True)
    busy = {program.name: program.processors() for program in programs}
    for name, processors in busy.items():
        # A thread that only hands over is no offence.
        if processors is not None and processors > 1.15 * threads:
            print(f"  warning: {name} kept {processors:.2f} processors busy, {threads} threads were asked for", flush=True)
    return {"batch": batch, "threads": threads, "processors_busy": busy, "notes": notes, "about": {p.name: p.about for p in programs},
            "seconds": took, "processor_seconds_while_waiting": waited, "nanoseconds": samples}


def summary(result, base):
    """Per program: median, quartiles (milliseconds an image), and how many times the base's time (median, least, most)."""
    per_image = 1e6 * result["batch"]
    rounds = {name: [statistics.median(turn) / per_image for turn in turns] for name, turns in result["nanoseconds"].items()}
    lines = {}
    for name, turns in result["nanoseconds"].items():
        every = sorted(ns / per_image for turn in turns for ns in turn)
        low, middle, high = statistics.quantiles(every, n=4, method="inclusive")
        # Of the same round, so that what else the machine did then counts for both.
        ratios = [mine / other for mine, other in zip(rounds[name], rounds.get(base, []))]
        lines[name] = middle, low, high, (statistics.median(ratios), min(ratios), max(ratios)) if ratios else None
    return lines


def table(record):
    base, machine = record["base"], record["machine"]
    out = [f"# fsvae and its peers, {record['date']}", "",
           f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}. Device: {record['device']}. "
           f"Model: {Path(record['model']).name}. {record['rounds']} rounds, {record['seconds_a_turn']} s a turn. Load average at the "
           f"start: {record['load_average']}.", "",
           "Versions: " + ", ".join(f"{name} {value}" for name, value in record["versions"].items()) + ".", "",
           f"Milliseconds an image from the draws to u8 pixels on the host; the ratio is a program's time over that of {base}, of the "
           "same round: median (least to most).", "",
           "| batch | threads | program | median | quartiles | images a second | ratio |", "|---|---|---|---|---|---|---|"]
    for result in record["results"]:
        for name, (middle, low, high, ratio) in summary(result, base).items():
            ratio = f"{ratio[0]:.2f} ({ratio[1]:.2f} to {ratio[2]:.2f})" if ratio else ""
            out.append(f"| {result['batch']} | {result['threads']} | {name} | {middle:.3f} | {low:.3f} to {high:.3f} | {1e3 / middle:.0f} | {ratio} |")
        for name, note in result["notes"].items():
            if name not in result["nanoseconds"]:
                out.append(f"| {result['batch']} | {result['threads']} | {name} | {note.partition(':')[0].lower()} | | | |")
    out += ["", "The check of each peer's images before its timing:", ""]
    for result in record["results"]:
        out += [f"- {result['threads']} threads: {note}" for note in result["notes"].values()]
    return "\n".join(out) + "\n"


def machine():
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())
    try:
        memory = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        memory = None
    return {"cpu": cpu, "cores": os.cpu_count(), "memory_gib": memory, "system": f"{platform.system()} {platform.release()}"}


def versions(a):
    found = json.loads(subprocess.run([a.python, str(HERE / "peers.py"), "versions"], check=True, capture_output=True, text=True).stdout)
    for name, ask in {"fsvae": ["git", "describe", "--always", "--dirty"], "rustc": ["rustc", "--version"]}.items():
        try:
            found[name] = subprocess.run(ask, check=True, capture_output=True, text=True, cwd=ROOT).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            pass
    return found


def arguments():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--programs", help="which, in the order of turns: peers, fsvae, and fsvae:TEXT or naive:TEXT for an adapter whose name contains the text (default: fsvae and all peers; with cuda fsvae:nvidia and naive:nvidia, too)")
    a.add_argument("--base", default="fsvae", help="the program that ratios are against")
    a.add_argument("--device", default="cpu", help="cpu or cuda, for the peers")
    a.add_argument("--batches", help="sizes (default: 1,64; with cuda 1,256)")
    a.add_argument("--threads", help="numbers of threads (default: 1,2; with cuda 1)")
    a.add_argument("--model", default=str(ROOT / "assets" / "mnist" / "mnist.safetensors"), help="a checkpoint")
    a.add_argument("--pass-model", action="store_true", help="pass --model to the Rust program too (implied by another model)")
    a.add_argument("--fsvae", metavar="COMMAND", help="the Rust program to time (default: cargo run --release --example peer)")
    a.add_argument("--cli", metavar="COMMAND", default="cargo run --release --quiet --", help="the fsvae command line that checks compare with")
    a.add_argument("--python", default=sys.executable, help="the interpreter that has the peers' packages")
    a.add_argument("--rounds", type=int, default=7)
    a.add_argument("--seconds", type=float, default=1.5, help="of a turn, at least 3 batches")
    a.add_argument("--pause", type=float, default=0.1, help="seconds after a turn, for threads that still spin to fall asleep")
    a.add_argument("--quick", action="store_true", help="two short rounds of each")
    a.add_argument("--unchecked", action="store_true", help="do not check the images first")
    a.add_argument("--out", default="peers", help="writes OUT.md, OUT.json and OUT.log")
    a = a.parse_args()
    cuda = a.device != "cpu"
    numbers = lambda text: [int(n) for n in text.split(",")]
    gpu = ["fsvae:nvidia", "naive:nvidia"] if cuda else []
    # `conv2d` is a program for CPUs.
    peers = [name for name in PEERS if not (cuda and name == "conv2d")]
    a.programs = a.programs.split(",") if a.programs else ["fsvae", *gpu, *peers]
    a.model = str(Path(a.model).resolve())
    a.batches, a.threads = numbers(a.batches or ("1,256" if cuda else "1,64")), numbers(a.threads or ("1" if cuda else "1,2"))
    a.pass_model = a.pass_model or Path(a.model).name != "mnist.safetensors"
    if a.quick:
        a.rounds, a.seconds = 2, 0.3
    if unknown := [name for name in a.programs if name.partition(":")[0] not in {*FSVAE, *PEERS} or name == "naive"]:
        raise SystemExit(f"no program {', '.join(unknown)}")
    return a


def main():
    a = arguments()
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"warning: the load average is {load:.2f}; times will be noise unless the machine is idle", flush=True)
    record = {"date": time.strftime("%Y-%m-%d"), "machine": machine(), "versions": versions(a), "device": a.device,
              "model": Path(a.model).name, "base": a.base, "rounds": a.rounds, "seconds_a_turn": a.seconds,
              "load_average": round(load, 2), "results": []}
    with open(f"{a.out}.log", "w") as log:
        for batch in a.batches:
            for threads in a.threads:
                record["results"].append(measure(a, threads, batch, log))
                # After each, so that an interrupted run has left what it measured.
                Path(f"{a.out}.json").write_text(json.dumps(record) + "\n")
                Path(f"{a.out}.md").write_text(table(record))
    print(table(record))


if __name__ == "__main__":
    main()
