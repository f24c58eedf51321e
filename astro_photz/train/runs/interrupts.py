# Licensed under a 3-clause BSD style license - see LICENSE
"""
Stop a training after its current step on Ctrl-C or SIGTERM, with a checkpoint to resume from.
"""

import contextlib
import signal
import threading
import time

import lightning

__all__ = ["StopAfterStep"]

_SHORT = 5.0  # seconds: a longer step is not waited for
_AT_ONCE = 1.0  # second, within which a second signal is the same wish


class StopAfterStep(lightning.Callback):
    """
    Put a signal off until the current step has its checkpoint.

    Then the handler that was there before does its work, such as to raise `KeyboardInterrupt`. It does so at once where
    no checkpoint can be written soon: before the first step, while validating, in long steps, where several processes
    train together; and when the signal comes again.

    Parameters
    ----------
    path : path-like
        Of the checkpoint.
    """

    def __init__(self, path):
        self.path = path
        self._before = {}  # handlers
        self._put_off = None  # signal, and when it came
        self._stepping = False
        self._saved = False
        self._began = self._took = None

    @contextlib.contextmanager
    def armed(self):
        """
        Handle signals, and let an interrupt leave the trainer as `KeyboardInterrupt`.

        Raises
        ------
        KeyboardInterrupt
            Which Lightning turns into `SystemExit` with code 1.
        SystemExit
            With code 143 after SIGTERM, for which there is no other handler: Lightning's code is that of success.
        """
        try:
            self._arm()
            yield
        except BaseException as error:
            interrupt = error.__context__ if isinstance(error, SystemExit) else None
            if isinstance(interrupt, KeyboardInterrupt):
                raise interrupt from None
            self._give_on()  # if Lightning came first
            if isinstance(error, SystemExit) and not error.code:
                raise SystemExit(128 + signal.SIGTERM) from None
            raise
        finally:
            for signum, handler in self._before.items():
                signal.signal(signum, handler)
            self._before = {}

    def _arm(self):
        if threading.current_thread() is not threading.main_thread():
            return
        for signum in (signal.SIGINT, signal.SIGTERM):
            if callable(handler := signal.getsignal(signum)):
                self._before[signum] = handler
                signal.signal(signum, self._handle)

    def _handle(self, signum, frame):
        soon = self._stepping and self._took is not None and self._took < _SHORT
        if self._put_off is None and soon:
            self._put_off = signum, time.monotonic()
        elif self._put_off is None or time.monotonic() - self._put_off[1] > _AT_ONCE:
            self._put_off = signum, time.monotonic()
            self._give_on(frame)

    def _give_on(self, frame=None):
        """Pass the signal to the handler that was there before."""
        if self._put_off is not None:
            (signum, _), self._put_off = self._put_off, None
            self._before[signum](signum, frame)

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        """Stop, if there is a checkpoint now."""
        if self._saved:
            self._give_on()
        self._stepping = trainer.world_size == 1
        self._began = time.monotonic()

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        """Save, if a signal waits for it, but not at the end of an epoch, from which no training can resume."""
        self._took = time.monotonic() - self._began
        if trainer.is_last_batch:
            self._stepping = False
            self._give_on()
        elif self._put_off is not None and (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
            trainer.save_checkpoint(self.path)
            self._saved = True
