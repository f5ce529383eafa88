"""Images as they come."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, wait
from types import TracebackType
from typing import Any

from . import _fsvae
from ._images import Images

_Part = tuple[int, Any] | None


class Stream:
    """Images of consecutive indices, in batches: `for images in stream`, or `async for`. Made by `Generator.stream`.

    Leaving a `with` block, or `close`, cancels what is in flight.
    """

    def __init__(
        self,
        native: _fsvae.Stream,
        shape: tuple[int, int, int],
        count: int | None,
        progress: bool,
    ) -> None:
        self._native = native
        self._shape = shape
        self._bar = _bar(count) if progress else None
        self._closed = False
        # What is awaited, or was until someone gave up. Of no event loop: another may come for it, or none.
        self._pending: Future[_Part] | None = None

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> Images:
        images = self._images(None if self._closed else self._next())
        if images is None:
            raise StopIteration
        return images

    def _next(self) -> _Part:
        pending = self._pending
        if pending is None:
            return self._native.next()
        # Ctrl-C leaves it to the next one who asks.
        wait([pending])
        self._pending = None
        return pending.result()

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Images:
        images = self._images(None if self._closed else await self._awaited())
        if images is None:
            raise StopAsyncIteration
        return images

    async def _awaited(self) -> _Part:
        if self._pending is None:
            self._pending = self._begun()
        # Whoever gives up waiting loses no images, even if they are there by then: the next one who waits gets them.
        try:
            part = await asyncio.wrap_future(self._pending)
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._pending = None
            raise
        self._pending = None
        return part

    def _begun(self) -> Future[_Part]:
        pending: Future[_Part] = Future()
        # Running, so that nobody who gives up cancels it.
        pending.set_running_or_notify_cancel()

        def work() -> None:
            try:
                part = self._native.next()
            except BaseException as error:
                pending.set_exception(error)
            else:
                pending.set_result(part)

        asyncio.get_running_loop().run_in_executor(None, work)
        return pending

    def _images(self, part: _Part) -> Images | None:
        if part is None:
            if self._bar is not None:
                self._bar.close()
            return None
        first, flat = part
        images = Images(flat.reshape(-1, *self._shape), first)
        if self._bar is not None:
            self._bar.update(len(images))
        return images

    def wall(self) -> None:
        """Takes all images that are still to come, and shows the newest batch of them in the notebook."""
        from IPython.display import display

        handle: Any = None
        for images in self:
            if handle is None:
                handle = display(images, display_id=True)
            else:
                handle.update(images)

    def close(self) -> None:
        """Cancels what is in flight; nothing comes any more."""
        self._closed = True
        pending, self._pending = self._pending, None
        if pending is None:
            self._native.close()
        else:
            # At once if it is there, else by the thread that waits for it.
            pending.add_done_callback(lambda _: self._native.close())
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _bar(count: int | None) -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm(total=count, unit=" images")
