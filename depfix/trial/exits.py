"""What the exit code of a Windows process says.

Source: [MS-ERREF] "NTSTATUS Values"
https://learn.microsoft.com/openspecs/windows_protocols/ms-erref/596a1078-e883-4972-9bbc-49e60bebca55 and, for the codes
of delay-loading, "Error handling and notification" https://learn.microsoft.com/cpp/build/reference/error-handling-and-notification
"""

from __future__ import annotations

from depfix.wording.message import phrase

_WORDS = {
    0x40010004: "DBG_TERMINATE_PROCESS",
    0x80000003: phrase("STATUS_BREAKPOINT: a breakpoint, or a failed check of a library"),
    0xC0000005: phrase("STATUS_ACCESS_VIOLATION: a crash"),
    0xC0000017: phrase("STATUS_NO_MEMORY: out of memory"),
    0xC000001D: phrase("STATUS_ILLEGAL_INSTRUCTION: the processor lacks an instruction (AVX?)"),
    0xC0000022: phrase("STATUS_ACCESS_DENIED: a DLL may not be read or run"),
    0xC000007B: phrase("STATUS_INVALID_IMAGE_FORMAT: a DLL is for another machine, damaged or no image"),
    0xC0000094: "STATUS_INTEGER_DIVIDE_BY_ZERO",
    0xC00000FD: phrase("STATUS_STACK_OVERFLOW: endless recursion, or a stack that is too small"),
    0xC0000135: phrase("STATUS_DLL_NOT_FOUND: a DLL is missing"),
    0xC0000138: phrase("STATUS_ORDINAL_NOT_FOUND: a DLL lacks an ordinal that another imports"),
    0xC0000139: phrase("STATUS_ENTRYPOINT_NOT_FOUND: a DLL lacks a function that another imports"),
    0xC000013A: phrase("STATUS_CONTROL_C_EXIT: it was interrupted"),
    0xC0000142: phrase("STATUS_DLL_INIT_FAILED: the initialization of a DLL failed"),
    0xC0000374: phrase("STATUS_HEAP_CORRUPTION: two C runtimes share memory, or a defect"),
    0xC0000409: phrase("STATUS_STACK_BUFFER_OVERRUN: it ended itself after a fatal error (abort)"),
    0xC0000417: "STATUS_INVALID_CRUNTIME_PARAMETER",
    0xC0000420: "STATUS_ASSERTION_FAILURE",
    0xC06D007E: phrase("a delay-loaded DLL is missing (VcppException, ERROR_MOD_NOT_FOUND)"),
    0xC06D007F: phrase("a delay-loaded DLL lacks a function (VcppException, ERROR_PROC_NOT_FOUND)"),
    0xE06D7363: phrase("an exception of C++ that nobody caught"),
}
_SUCCESS_BELOW = 0x40000000


def exit_words(code: int) -> str:
    """Return an exit code as a person reads it: 0xC0000135 with its meaning, small ones as they are.

    Negative codes are the same 32 bits, as most shells print them.
    """
    unsigned = code & 0xFFFFFFFF
    if unsigned < _SUCCESS_BELOW:
        return str(code)
    known = _WORDS.get(unsigned, "")
    shown = f"0x{unsigned:08X}"
    return phrase("{code}, {words}", code=shown, words=known) if known else shown
