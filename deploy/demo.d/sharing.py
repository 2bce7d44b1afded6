# SPDX-License-Identifier: MIT
"""One process hands 512 MB to four others, by four ways; what it takes, in seconds and in memory.

    sharing.py N_BYTES NAME DIRECTORY

Memory is read from /proc/PID/smaps of the five processes. Pss counts a page that k processes share
as 1/k in each, so the sum over processes is what exists.
"""
import json
import os
import re
import subprocess
import sys
from multiprocessing import Pipe

import tensord

HAND_OFF = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hand_off.py")
N_CONSUMERS = 4
MB = 1 << 20


class Process:
    """One that hand_off.py runs in, told what to do line by line."""

    def __init__(self, role, way, n_bytes, place, fds=()):
        self.popen = subprocess.Popen(
            [sys.executable, HAND_OFF, role, way, str(n_bytes), place], pass_fds=fds, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self.hear()["pid"]
        self.pss_before = pss(self.pid)

    def tell(self):
        self.popen.stdin.write("\n")
        self.popen.stdin.flush()

    def hear(self):
        line = self.popen.stdout.readline()
        if not line:
            sys.exit(f"sharing: a process ended with status {self.popen.wait()}")
        return json.loads(line)

    def ask(self):
        self.tell()
        return self.hear()

    def end(self):
        self.tell()
        self.popen.stdin.close()
        if self.popen.wait():
            sys.exit(f"sharing: a process ended with status {self.popen.returncode}")
        self.popen.stdout.close()


def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return int(re.search(r"^Pss:\s+(\d+) kB", file.read(), re.MULTILINE)[1]) * 1024


def segment_maps(pid, inode):
    """(Rss, Pss) of that process's mappings of one segment, in bytes"""
    rss = of_pss = 0
    is_ours = False
    with open(f"/proc/{pid}/smaps") as file:
        for line in file:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                fields = line.split()
                is_ours = int(fields[4]) == inode and "/tensord." in line
            elif is_ours and line.startswith(("Rss:", "Pss:")):
                kib = int(line.split()[1])
                rss, of_pss = (rss + kib, of_pss) if line[0] == "R" else (rss, of_pss + kib)
    return rss * 1024, of_pss * 1024


def largest_segment(pid, n_bytes):
    """inode of the segment of at least that size that the process maps"""
    with open(f"/proc/{pid}/maps") as file:
        for line in file:
            fields = line.split()
            low, high = (int(end, 16) for end in fields[0].split("-"))
            if "/tensord." in line and high - low >= n_bytes:
                return int(fields[4])
    sys.exit(f"sharing: process {pid} maps no segment of {n_bytes} bytes")


def hand_off(way, n_bytes, place):
    """one row of the table; for tensord also what smaps says of the segment"""
    pipes = [Pipe(duplex=False) for _ in range(N_CONSUMERS)] if way == "pipe" else []
    writers, readers = [w.fileno() for _, w in pipes], [r.fileno() for r, _ in pipes]
    producer = Process("producer", way, n_bytes,
                       ",".join(map(str, writers)) if pipes else place, writers)
    consumers = [Process("consumer", way, n_bytes, str(readers[i]) if pipes else place,
                         readers[i:i + 1]) for i in range(N_CONSUMERS)]
    for end in (end for pipe in pipes for end in pipe):
        end.close()

    total = producer.ask()["total"]
    for consumer in consumers:
        consumer.ask()
    producer.tell()
    if way == "pipe":  # one end sends while the other receives
        for consumer in consumers:
            consumer.tell()
        given, taken = producer.hear(), [consumer.hear() for consumer in consumers]
    else:
        given = producer.hear()
        for consumer in consumers:
            consumer.tell()
        taken = [consumer.hear() for consumer in consumers]
    if any(one["total"] != total for one in taken):
        sys.exit(f"sharing: sums differ by way of {way}")

    producer.ask()
    processes = [producer, *consumers]
    row = {"give": given["seconds"], "take": sum(one["seconds"] for one in taken) / N_CONSUMERS,
           "all": max(one["done"] for one in taken) - given["started"],
           "memory": sum(pss(process.pid) - process.pss_before for process in processes)}
    if way == "tensord":
        inode = largest_segment(consumers[0].pid, n_bytes)
        row["maps"] = [(p.pid, *segment_maps(p.pid, inode)) for p in processes]
        row["daemon"] = segment_maps(tensord.stat()["pid"], inode)
    for process in processes:
        process.end()
    return row


def show_sharing(row, n_bytes):
    n_mapped = sum(rss > n_bytes / 2 for _, rss, _ in row["maps"])
    rss = sum(rss for _, rss, _ in row["maps"])
    shared = sum(pss for _, _, pss in row["maps"]) + row["daemon"][1]
    print(f"   /proc/PID/smaps of the segment, MB: {n_mapped} processes see "
          f"{' + '.join(f'{rss / MB:.0f}' for _, rss, _ in row['maps'])} (Rss)")
    print(f"   and share it: Pss {' + '.join(f'{pss / MB:.0f}' for _, _, pss in row['maps'])}"
          f" + {row['daemon'][1] / MB:.0f} in the daemon = {shared / MB:.0f}, "
          f"{shared / n_bytes:.2f} copies")
    if n_mapped < N_CONSUMERS or rss < N_CONSUMERS * n_bytes:
        sys.exit("sharing: not all processes map the segment")
    if not 0.95 < shared / n_bytes < 1.05:
        sys.exit("sharing: that is not one copy")


def main(n_bytes, name, directory):
    ways = {"pipe": ("pickle, multiprocessing.Pipe", ""),
            "npy": ("numpy.save, numpy.load", os.path.join(directory, "array.npy")),
            "sharedmemory": ("multiprocessing.SharedMemory", f"tensord-demo-{os.getpid()}"),
            "tensord": ("tensord put, get", name)}
    rows = {}
    for way, (_, place) in ways.items():
        rows[way] = hand_off(way, n_bytes, place)
    os.unlink(ways["npy"][1])
    show_sharing(rows["tensord"], n_bytes)
    print(f"   {n_bytes / MB:.0f} MB from one process to {N_CONSUMERS}:"
          f"     give      take   all sums    memory")
    for way, (title, _) in ways.items():
        row = rows[way]
        print(f"   {title:<32}{row['give']:>7.3f} s{row['take']:>8.4f} s{row['all']:>8.3f} s"
              f"{row['memory'] / MB:>7.0f} MB")
    print("Sharing: OK")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
