"""
Tributary's device SDK for Python: records playback and favourite events into files that survive power cuts, and
forwards them to a gateway.

    with Client("tv-1", "gateway.example.org", 8443, "rings", ca="ca.pem", token=token) as client:
        with client.session("movie-1", duration_ms=5_400_000) as session:
            session.playing(0)
"""

from ._client import (Busy, Cause, Client, Full, InvalidArgument, NotRecording, Reason, Report, Session, State, Stats,
                      StorageError, TributaryError, version)

__all__ = ["Busy", "Cause", "Client", "Full", "InvalidArgument", "NotRecording", "Reason", "Report", "Session", "State",
           "Stats", "StorageError", "TributaryError", "version"]
