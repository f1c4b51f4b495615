"""Runs a program of Windows under its debug API, which tells of every image that a process and its children load.

Only documented functions are used. Sources: Microsoft Learn, "Debugging Functions"
https://learn.microsoft.com/windows/win32/debug/debugging-functions , "DEBUG_EVENT structure"
https://learn.microsoft.com/windows/win32/api/minwinbase/ns-minwinbase-debug_event , "Job Objects"
https://learn.microsoft.com/windows/win32/procthread/job-objects and "SetErrorMode"
https://learn.microsoft.com/windows/win32/api/errhandlingapi/nf-errhandlingapi-seterrormode
"""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Mapping
from ctypes import wintypes
from typing import Any

from depfix.model.run import Ended, Order
from depfix.trial.running import AS_ON_A_CONSOLE, Streams, watch

_EXCEPTION, _CREATE_PROCESS, _EXIT_PROCESS, _LOAD_DLL = 1, 3, 5, 6  # DEBUG_EVENT.dwDebugEventCode
_DEBUG_PROCESS, _NEW_GROUP, _NO_WINDOW = 0x1, 0x200, 0x08000000  # process creation flags
_CONTINUE, _NOT_HANDLED = 0x00010002, 0x80010001
_BREAKPOINTS = (0x80000003, 0x4000001F)  # what the system itself raises when a debugged process starts
_QUIET = 0x8007  # SEM_FAILCRITICALERRORS, _NOGPFAULTERRORBOX, _NOALIGNMENTFAULTEXCEPT, _NOOPENFILEERRORBOX
_JOB_LIMITS, _KILL_ON_CLOSE = 9, 0x2000  # JobObjectExtendedLimitInformation, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
_LONGEST_PATH = 32768
_STOPPED = 1
_EXIT_WAIT = 100  # rounds of 50 ms for what was told to end


class ExceptionRecord(ctypes.Structure):
    """EXCEPTION_RECORD."""

    _fields_ = (
        ("code", wintypes.DWORD),
        ("flags", wintypes.DWORD),
        ("record", ctypes.c_void_p),
        ("address", ctypes.c_void_p),
        ("count", wintypes.DWORD),
        ("information", ctypes.c_void_p * 15),
    )


class ExceptionInfo(ctypes.Structure):
    """EXCEPTION_DEBUG_INFO."""

    _fields_ = (("record", ExceptionRecord), ("first_chance", wintypes.DWORD))


class ProcessInfo(ctypes.Structure):
    """CREATE_PROCESS_DEBUG_INFO."""

    _fields_ = (
        ("file", wintypes.HANDLE),
        ("process", wintypes.HANDLE),
        ("thread", wintypes.HANDLE),
        ("base", ctypes.c_void_p),
        ("debug_offset", wintypes.DWORD),
        ("debug_size", wintypes.DWORD),
        ("thread_data", ctypes.c_void_p),
        ("start", ctypes.c_void_p),
        ("name", ctypes.c_void_p),
        ("unicode", wintypes.WORD),
    )


class LoadInfo(ctypes.Structure):
    """LOAD_DLL_DEBUG_INFO."""

    _fields_ = (
        ("file", wintypes.HANDLE),
        ("base", ctypes.c_void_p),
        ("debug_offset", wintypes.DWORD),
        ("debug_size", wintypes.DWORD),
        ("name", ctypes.c_void_p),
        ("unicode", wintypes.WORD),
    )


class ExitInfo(ctypes.Structure):
    """EXIT_PROCESS_DEBUG_INFO."""

    _fields_ = (("code", wintypes.DWORD),)


class _Information(ctypes.Union):
    _fields_ = (("exception", ExceptionInfo), ("created", ProcessInfo), ("load", LoadInfo), ("exit", ExitInfo))


class DebugEvent(ctypes.Structure):
    """DEBUG_EVENT."""

    _fields_ = (
        ("code", wintypes.DWORD),
        ("process", wintypes.DWORD),
        ("thread", wintypes.DWORD),
        ("u", _Information),
    )


class _BasicLimits(ctypes.Structure):
    _fields_ = (
        ("process_time", ctypes.c_int64),
        ("job_time", ctypes.c_int64),
        ("flags", wintypes.DWORD),
        ("least", ctypes.c_size_t),
        ("most", ctypes.c_size_t),
        ("processes", wintypes.DWORD),
        ("affinity", ctypes.c_size_t),
        ("priority", wintypes.DWORD),
        ("scheduling", wintypes.DWORD),
    )


class _Limits(ctypes.Structure):
    _fields_ = (
        ("basic", _BasicLimits),
        ("io", ctypes.c_uint64 * 6),
        ("memory", ctypes.c_size_t * 4),
    )


def kernel32() -> Any:
    """Return kernel32.dll with the argument types that 64-bit handles need. On Windows only."""
    library: Any = vars(ctypes)["WinDLL"]("kernel32", use_last_error=True)
    handle, number = wintypes.HANDLE, wintypes.DWORD
    library.WaitForDebugEvent.argtypes = (ctypes.POINTER(DebugEvent), number)
    library.ContinueDebugEvent.argtypes = (number, number, number)
    library.GetFinalPathNameByHandleW.argtypes = (handle, wintypes.LPWSTR, number, number)
    library.CloseHandle.argtypes = (handle,)
    library.CreateJobObjectW.argtypes = (ctypes.c_void_p, wintypes.LPCWSTR)
    library.CreateJobObjectW.restype = handle
    library.AssignProcessToJobObject.argtypes = (handle, handle)
    library.TerminateJobObject.argtypes = (handle, wintypes.UINT)
    library.SetInformationJobObject.argtypes = (handle, ctypes.c_int, ctypes.c_void_p, number)
    return library


class Debugger:
    """The events of one process and of those that it starts: what they load, how they end.

    `loads` are paths in the order of loading, `codes` {process: exit code}, `statuses` the exceptions that nobody
    handled. All is to be used in the thread that started the process.
    """

    def __init__(self, library: Any) -> None:
        self._kernel = library
        self._running: set[int] = set()
        self._greeted: set[tuple[int, int]] = set()
        self.loads: dict[str, None] = {}
        self.codes: dict[int, int] = {}
        self.statuses: dict[int, None] = {}
        self._job = library.CreateJobObjectW(None, None)
        limits = _Limits()
        limits.basic.flags = _KILL_ON_CLOSE
        library.SetInformationJobObject(self._job, _JOB_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits))

    def has_ended(self, process: int, seconds: float) -> bool:
        """Handle the events of up to so many seconds; return True if the process is over."""
        event = DebugEvent()
        if process in self.codes:
            return True
        if self._kernel.WaitForDebugEvent(ctypes.byref(event), int(seconds * 1000)):
            self.handle(event)
            while process not in self.codes and self._kernel.WaitForDebugEvent(ctypes.byref(event), 0):
                self.handle(event)
        return process in self.codes

    def handle(self, event: DebugEvent) -> None:
        """Note what an event tells, and let the process go on."""
        answer = _CONTINUE
        if event.code == _CREATE_PROCESS:
            self._running.add(event.process)
            self._kernel.AssignProcessToJobObject(self._job, event.u.created.process)
            self._note(event.u.created.file)
        elif event.code == _LOAD_DLL:
            self._note(event.u.load.file)
        elif event.code == _EXIT_PROCESS:
            self._running.discard(event.process)
            self.codes[event.process] = event.u.exit.code
        elif event.code == _EXCEPTION:
            answer = self._answer(event)
        self._kernel.ContinueDebugEvent(event.process, event.thread, answer)

    def _answer(self, event: DebugEvent) -> int:
        """The first breakpoint of a process is the system's own; all else is the program's to handle."""
        code = event.u.exception.record.code
        if code in _BREAKPOINTS and (event.process, code) not in self._greeted:
            self._greeted.add((event.process, code))
            return _CONTINUE
        if not event.u.exception.first_chance:
            self.statuses[code] = None
        return _NOT_HANDLED

    def _note(self, file: int | None) -> None:
        if not file:
            return
        buffer = ctypes.create_unicode_buffer(_LONGEST_PATH)
        if self._kernel.GetFinalPathNameByHandleW(file, buffer, _LONGEST_PATH, 0):
            self.loads[buffer.value] = None
        self._kernel.CloseHandle(file)

    def stop(self) -> None:
        """End every process that still runs, and return when they are gone."""
        self._kernel.TerminateJobObject(self._job, _STOPPED)
        event = DebugEvent()
        for _ in range(_EXIT_WAIT):
            if not self._running:
                break
            while self._kernel.WaitForDebugEvent(ctypes.byref(event), 50):
                self.handle(event)
        self._kernel.CloseHandle(self._job)


def run_debugged(
    command: list[str], folder: str, env: Mapping[str, str], order: Order
) -> tuple[Ended, tuple[str, ...], tuple[int, ...]]:
    """Run a program; return how it ended, the paths of the images that were loaded, and what exceptions ended it.

    Error boxes of Windows are switched off. Raises OSError if Windows does not start the program.
    """
    library = kernel32()
    before = library.SetErrorMode(_QUIET)  # children inherit it
    debugger = Debugger(library)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={
                **env,
                **AS_ON_A_CONSOLE,
                "_NO_DEBUG_HEAP": "1",
            },  # else the heap of a debugged process is another, slower one
            cwd=folder,
            creationflags=_DEBUG_PROCESS | _NEW_GROUP | _NO_WINDOW,
        )
        streams = Streams(process.stdout, process.stderr)
        try:
            seconds = watch(order, streams, lambda wait: debugger.has_ended(process.pid, wait))
            code = debugger.codes.get(process.pid)
        finally:
            debugger.stop()
            process.wait()
    finally:
        library.SetErrorMode(before)
    out, err = streams.finish(5.0)
    ended = Ended(code, seconds, out.replace("\r\n", "\n"), err.replace("\r\n", "\n"))
    return ended, tuple(debugger.loads), tuple(debugger.statuses)
