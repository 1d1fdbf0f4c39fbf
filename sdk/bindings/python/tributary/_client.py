"""Client and Session: the SDK's API as Python classes."""

import ctypes
import enum
import os
import queue
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, Type, Union

from ._library import Library, LogCallback, Options, RejectedCallback, StateCallback, Stats as _StatsArray

NOT_KNOWN = 2**64 - 1
_STEP_MAX_MS = 60000
_library: Any = Library()


class State(enum.IntEnum):
    """Where the connection stands."""

    OFFLINE = 0
    CONNECTING = 1
    ONLINE = 2
    REFUSED = 3


class Report(enum.IntEnum):
    """What a player does; see enum trib_player_report."""

    PLAY = 0
    PLAYING = 1
    PAUSED = 2
    BUFFERING = 3
    SEEKING = 4
    SEEKED = 5
    POSITION = 6
    RATE = 7
    MUTED = 8
    QUALITY = 9
    DROPPED = 10
    DURATION = 11
    ERROR = 12
    COMPLETE = 13


class Cause(enum.IntEnum):
    """Who caused it."""

    USER = 0
    SYSTEM = 1


class Reason(enum.IntEnum):
    """Why a session ended."""

    ENDED = 0
    QUIT = 1
    ERROR = 2


class TributaryError(Exception):
    """An error of the SDK. `code` is the negative TRIB_E… of wire/error.h."""

    def __init__(self, code: int) -> None:
        super().__init__(f"{_library.error_text(code).decode()} ({code})")
        self.code = code


class InvalidArgument(TributaryError, ValueError):
    """An argument is not allowed."""


class Full(TributaryError):
    """No room: the event was not recorded."""


class StorageError(TributaryError, OSError):
    """The rings cannot be read or written."""


class Busy(TributaryError):
    """Another process has the rings."""


class NotRecording(TributaryError):
    """The client is closed, the session has ended, or recording is off: no consent, or the gateway switched it off."""


_INVALID, _FULL = -10, -11
_ERRORS: Dict[int, Type[TributaryError]] = {-8: StorageError, -10: InvalidArgument, -11: Full, -17: Busy, -18: NotRecording}
_STOPPED, _TIMEOUT = -18, -19


def _check(code: int) -> None:
    if code < 0:
        raise _ERRORS.get(code, TributaryError)(code)


def _text(value: Optional[str]) -> Optional[bytes]:
    if value is None:
        return None
    if "\0" in value:
        raise InvalidArgument(-10)
    return value.encode()


def _pem(value: Union[str, bytes, "os.PathLike[str]", None]) -> Optional[bytes]:
    """PEM itself as bytes, or a file's path."""
    return value if value is None or isinstance(value, bytes) else Path(value).read_bytes()


@dataclass(frozen=True)
class Stats:
    """Counters since the client was made, but where they say otherwise. See struct trib_stats."""

    recorded: int
    refused: int
    dropped: int  # since the rings were made
    durable_vital: int
    durable_routine: int
    acked_vital: int
    acked_routine: int
    waiting: int  # durable and not acked
    sent: int
    rejected: int
    connects: int
    damaged: int


class Session:
    """A playback session. Report what the player does; as a context manager it ends with `quit`, or `error` after an
    exception. Made by Client.session()."""

    def __init__(self, client: "Client", handle: int) -> None:
        self._client, self._handle = client, handle

    def report(self, report: Report, position_ms: Optional[int] = None, value: int = 0, cause: Cause = Cause.USER) -> None:
        """One report; `value` depends on it (see enum trib_player_report). Raises Full if an event was not recorded."""
        position = NOT_KNOWN if position_ms is None else position_ms
        if not 0 <= position <= NOT_KNOWN or not -(2**63) <= value < 2**63:
            raise InvalidArgument(-10)
        with self._client._recording(self) as handle:
            _check(_library.session_report(handle, report, position, value, cause))

    def play(self, position_ms: Optional[int] = None, cause: Cause = Cause.USER) -> None:
        """Playback was asked for."""
        self.report(Report.PLAY, position_ms, cause=cause)

    def playing(self, position_ms: Optional[int] = None, cause: Cause = Cause.USER) -> None:
        """Frames move now."""
        self.report(Report.PLAYING, position_ms, cause=cause)

    def paused(self, position_ms: Optional[int] = None, cause: Cause = Cause.USER) -> None:
        """Playback is paused."""
        self.report(Report.PAUSED, position_ms, cause=cause)

    def buffering(self, position_ms: Optional[int] = None) -> None:
        """The player waits for data."""
        self.report(Report.BUFFERING, position_ms, cause=Cause.SYSTEM)

    def seeking(self, to_ms: int, cause: Cause = Cause.USER) -> None:
        """A seek began."""
        self.report(Report.SEEKING, to_ms, cause=cause)

    def seeked(self, at_ms: int, cause: Cause = Cause.USER) -> None:
        """A seek ended."""
        self.report(Report.SEEKED, at_ms, cause=cause)

    def position(self, position_ms: int) -> None:
        """Where the player is; once a second is plenty."""
        self.report(Report.POSITION, position_ms)

    def rate(self, rate: float, position_ms: Optional[int] = None) -> None:
        """The playback rate; 1.0 is normal."""
        self.report(Report.RATE, position_ms, round(rate * 1000))

    def muted(self, muted: bool) -> None:
        """The sound is off or on."""
        self.report(Report.MUTED, value=int(muted))

    def error(self, code: int, position_ms: Optional[int] = None) -> None:
        """The player reports an error; fatal if the session is then ended with Reason.ERROR."""
        self.report(Report.ERROR, position_ms, code)

    def complete(self, position_ms: Optional[int] = None) -> None:
        """The end of the content was reached."""
        self.report(Report.COMPLETE, position_ms)

    def end(self, reason: Reason = Reason.QUIT) -> None:
        """Records the totals. A second call does nothing. Raises Full if there was no room for them within a second: the session
        is still open then; call again."""
        code = _FULL
        for _ in range(100):
            with self._client._guard:
                if not self._handle or not self._client._recordable:
                    return
                code = _library.session_end(self._handle, reason)
                if code not in (_FULL, _INVALID):
                    self._handle = 0
            if code != _FULL:
                break
            time.sleep(0.01)  # the polling thread makes room
        _check(code)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.end(Reason.ERROR if kind else Reason.QUIT)


class _Recording:
    """Holds the client's guard while a handle is used, so that it is not freed meanwhile."""

    def __init__(self, client: "Client", session: Optional[Session]) -> None:
        self._client, self._session = client, session

    def __enter__(self) -> int:
        self._client._guard.acquire()
        handle = self._session._handle if self._session else self._client._handle
        if not handle or not self._client._recordable:
            self._client._guard.release()
            raise NotRecording(_STOPPED)
        return handle

    def __exit__(self, *_: object) -> None:
        self._client._guard.release()


class Client:
    """
    Records events into two files in `folder` and forwards them to a gateway over TLS. A folder belongs to one client
    at a time. All methods may be called from any thread; a thread of this object does what blocks, and calls the
    callbacks, which must not call flush() or close().

    What is recorded is in memory first. Vital events (start, end and errors of a session, favourites) are on the disk
    a moment later, others within durable_window_ms (1000); flush() makes all of it durable now. close(), or leaving the
    `with` block, ends open sessions, flushes, and stops. A process that ends without close() loses only what was not
    durable yet.

    ca, certificate and key are paths of PEM files, or PEM as bytes. One of token and certificate says who the device is.
    The intervals are milliseconds; 0 is the SDK's default. User ids are hashed (user_salt: the same in all clients of one
    service) unless user_id_as_given. proxy is "host:port" of an HTTP proxy; without it none is used, whatever the environment
    says. With consent_required nothing is recorded before set_consent(True).
    """

    def __init__(self, device_id: str, host: str, port: int, folder: Union[str, "os.PathLike[str]"], *,
                 ca: Union[str, bytes, "os.PathLike[str]"], token: Optional[str] = None,
                 certificate: Union[str, bytes, "os.PathLike[str]", None] = None,
                 key: Union[str, bytes, "os.PathLike[str]", None] = None, server_name: Optional[str] = None,
                 path: Optional[str] = None, proxy: Optional[str] = None, proxy_user: Optional[str] = None,
                 proxy_password: Optional[str] = None, sector_bytes: int = 4096, vital_sectors: int = 16, routine_sectors: int = 64,
                 durable_window_ms: int = 0, ping_ms: int = 0, linger_ms: int = 0, backoff_min_ms: int = 0,
                 backoff_max_ms: int = 0, user_salt: Optional[str] = None, consent_required: bool = False,
                 user_id_as_given: bool = False, on_state: Optional[Callable[[State, int], None]] = None,
                 on_rejected: Optional[Callable[[int, int, int], None]] = None,
                 on_log: Optional[Callable[[int, str], None]] = None) -> None:
        """Opens or makes the rings. Raises InvalidArgument, StorageError, Busy."""
        proxy_host, _, proxy_port = (proxy or "").rpartition(":")
        if proxy is not None and not (proxy_host and proxy_port.isdecimal()):
            raise InvalidArgument(-10)
        numbers = dict(port=port, proxy_port=int(proxy_port or 0), sector_bytes=sector_bytes, vital_sectors=vital_sectors, routine_sectors=routine_sectors,
                       durable_window_ms=durable_window_ms, ping_ms=ping_ms, linger_ms=linger_ms,
                       backoff_min_ms=backoff_min_ms, backoff_max_ms=backoff_max_ms)
        if not all(0 <= number < 2**32 for number in numbers.values()):
            raise InvalidArgument(-10)
        Path(folder).mkdir(parents=True, exist_ok=True)
        self._guard = threading.RLock()
        self._handle, self._recordable = 0, False
        self._requests: "queue.SimpleQueue[Tuple[Callable[[], int], Future[int]]]" = queue.SimpleQueue()
        # The library keeps the function pointers: they must live as long as the handle.
        self._callbacks = (
            LogCallback(lambda level, text: on_log(level, text.decode(errors="replace")) if on_log else None),
            StateCallback(lambda state, error: on_state(State(state), error) if on_state else None),
            RejectedCallback(lambda stream, seq, code: on_rejected(stream, seq, code) if on_rejected else None))
        options = Options(
            device_id=_text(device_id), host=_text(host), path=_text(path), token=_text(token), folder=os.fsencode(folder),
            ca=_pem(ca), certificate=_pem(certificate), key=_pem(key), server_name=_text(server_name),
            proxy_host=_text(proxy_host or None), proxy_user=_text(proxy_user), proxy_password=_text(proxy_password),
            user_salt=_text(user_salt), consent_required=consent_required, user_id_as_given=user_id_as_given,
            log=self._callbacks[0], state=self._callbacks[1], rejected=self._callbacks[2], **numbers)
        handle = ctypes.c_void_p()
        _check(_library.open(ctypes.byref(options), ctypes.byref(handle)))
        self._handle, self._recordable = handle.value or 0, True
        self._final = Stats(*([0] * 12))
        self._thread = threading.Thread(target=self._work, name=f"tributary {device_id}", daemon=True)
        self._thread.start()

    # --- The thread that polls: flush and close are handed to it, since the SDK wants them from one thread. ---

    def _work(self) -> None:
        handle = self._handle
        while True:
            try:
                request, answer = self._requests.get_nowait()
            except queue.Empty:
                _library.step(handle, _STEP_MAX_MS)  # what the storage refuses is kept and tried again
                continue
            answer.set_result(request())
            if not self._handle:
                return

    def _ask(self, request: Callable[[], int], last: bool = False) -> int:
        if threading.current_thread() is self._thread:
            raise RuntimeError("flush() and close() must not be called from a callback")
        answer: "Future[int]" = Future()
        with self._guard:
            if not self._recordable:
                raise NotRecording(_STOPPED)
            self._recordable = not last
            self._requests.put((request, answer))
            _library.wake(self._handle)
        return answer.result()

    def _recording(self, session: Optional[Session] = None) -> _Recording:
        return _Recording(self, session)

    # --- Recording: never waits for disk or network ---

    def session(self, content_id: str, user_id: Optional[str] = None, duration_ms: int = 0, live: bool = False) -> Session:
        """Begins a playback session. Raises Full, InvalidArgument, NotRecording."""
        if not 0 <= duration_ms < 2**64:
            raise InvalidArgument(-10)
        out = ctypes.c_void_p()
        with self._recording() as handle:
            _check(_library.session_start(handle, _text(content_id), _text(user_id), duration_ms, live, ctypes.byref(out)))
        return Session(self, out.value or 0)

    def _favourite(self, add: bool, item: str, list_name: Optional[str], user_id: Optional[str]) -> None:
        with self._recording() as handle:
            _check(_library.favourite(handle, add, _text(list_name), _text(item), _text(user_id)))

    def add_favourite(self, item: str, list_name: Optional[str] = None, user_id: Optional[str] = None) -> None:
        """The user made the item a favourite."""
        self._favourite(True, item, list_name, user_id)

    def remove_favourite(self, item: str, list_name: Optional[str] = None, user_id: Optional[str] = None) -> None:
        """The item is no favourite any more."""
        self._favourite(False, item, list_name, user_id)

    def custom(self, schema: str, attributes: Mapping[str, Union[str, bytes, int, bool]]) -> None:
        """An event of a schema of your own: at most 16 attributes, about 2,000 bytes in all. There is
        no floating point on the wire: scale to an integer. A gateway that does not
        know the schema puts it into quarantine, and on_rejected tells."""
        put: List[Tuple[Any, ...]] = []
        for name, value in attributes.items():
            if isinstance(value, str):
                put.append((_library.custom_text, _text(name) or b"", _text(value) or b""))
            elif isinstance(value, bytes):
                put.append((_library.custom_bytes, _text(name) or b"", value, len(value)))
            elif isinstance(value, int) and -(2**63) <= value < 2**64:
                setter = (_library.custom_bool if isinstance(value, bool) else
                          _library.custom_int if value < 2**63 else _library.custom_uint)
                put.append((setter, _text(name) or b"", value))
            else:
                raise InvalidArgument(-10)
        schema_text = _text(schema)
        with self._recording() as handle:
            event = _library.custom_new(schema_text)
            if not event:
                raise MemoryError
            for function, *arguments in put:
                function(event, *arguments)
            _check(_library.custom_record(handle, event))

    # --- State ---

    @property
    def state(self) -> State:
        """Where the connection stands, as of a moment ago."""
        with self._guard:
            return State(_library.state(self._handle)) if self._handle else State.OFFLINE

    @property
    def stats(self) -> Stats:
        """Counters as of the thread's last step, a moment ago (exact after flush()); after close() the last ones."""
        with self._guard:
            return self._read_stats() if self._handle else self._final

    def _read_stats(self) -> Stats:
        values = _StatsArray()
        _library.stats(self._handle, values)
        return Stats(*values)

    # --- Durability and the end ---

    def flush(self, timeout: float = 0) -> bool:
        """Makes all that was recorded durable, then waits up to `timeout` seconds for the gateway to ack it. True when
        it did (or timeout is 0). Raises StorageError. Meanwhile the thread is busy with it: use short times."""
        budget = _milliseconds(timeout)
        code = self._ask(lambda: int(_library.flush(self._handle, budget)))
        if code != _TIMEOUT:
            _check(code)
        return code != _TIMEOUT

    def set_consent(self, given: bool) -> None:
        """Whether the user agrees to be recorded; kept across starts. Without it recording raises NotRecording and nothing
        is sent; what waits stays. Raises StorageError or Full if it could not be kept yet; it holds all the same."""
        _check(self._ask(lambda: int(_library.set_consent(self._handle, given))))

    def erase(self) -> None:
        """Forgets all that was recorded and not sent, and has the gateway told that the rest is to be forgotten. Ends all
        sessions. Raises StorageError: call it again."""
        _check(self._ask(lambda: int(_library.erase(self._handle))))

    def close(self, timeout: float = 2) -> bool:
        """Ends open sessions, flushes as flush() does, and stops. True when all was acked (or timeout is 0). A second
        call does nothing."""
        budget = _milliseconds(timeout)

        def end() -> int:
            code = int(_library.shutdown(self._handle, budget))
            with self._guard:
                self._final = self._read_stats()
                handle, self._handle = self._handle, 0
                _library.free(handle)
            return code

        try:
            code = self._ask(end, last=True)
        except NotRecording:
            return True
        self._thread.join()
        if code != _TIMEOUT:
            _check(code)
        return code != _TIMEOUT

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _milliseconds(seconds: float) -> int:
    if not 0 <= seconds <= 4e6:
        raise InvalidArgument(-10)
    return int(seconds * 1000)


def version() -> str:
    """The SDK's version."""
    return str(_library.version().decode())
