"""Images as they come."""

from __future__ import annotations

import asyncio
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
        self._pending: asyncio.Future[_Part] | None = None

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> Images:
        images = self._images(self._native.next())
        if images is None:
            raise StopIteration
        return images

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Images:
        if self._pending is None:
            self._pending = asyncio.get_running_loop().run_in_executor(None, self._native.next)
        # Whoever gives up waiting loses no images, even if they are there by then: the next one who waits gets them.
        try:
            part = await asyncio.shield(self._pending)
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._pending = None
            raise
        self._pending = None
        images = self._images(part)
        if images is None:
            raise StopAsyncIteration
        return images

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
        self._native.close()
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
