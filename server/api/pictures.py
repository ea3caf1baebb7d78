"""The operator's routes of pictures and videos for boards."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from server.api import board_models as models
from server.api import views
from server.api.files import send_file
from server.api.route import Parameter, Route, number
from server.media.gallery import Gallery
from server.problems import Problem
from server.store.pictures import PICTURE, VIDEO, PictureRow

API = "/api/v1"
_LIMIT = (Parameter("limit", "how many at most, 1 to 1000; 50 unless told"),)
_UPLOAD = (Problem.MEDIA_EMPTY, Problem.TOO_LARGE, Problem.STORAGE_FULL, Problem.BUSY, Problem.INVALID)
_WORDS = {
    PICTURE: ("Upload a picture: JPEG, PNG, WebP or GIF", "Kept pictures", Problem.PICTURE_UNUSABLE),
    VIDEO: ("Upload a video: MP4 with H.264", "Kept videos", Problem.VIDEO_UNUSABLE),
}


class PicturesApi:
    """Handlers of requests about pictures and videos."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery

    def routes(self) -> list[Route]:
        """Every route about pictures and videos."""
        return [*self._routes(PICTURE), *self._routes(VIDEO)]

    def _routes(self, kind: str) -> list[Route]:
        upload, kept, problem = _WORDS[kind]
        base = f"{API}/{kind}s"
        return [
            Route(
                "POST",
                base,
                upload,
                partial(self.upload, kind),
                request_type="application/octet-stream",
                response=models.PictureAnswer,
                status=201,
                parameters=(Parameter("title", "what people read"),),
                errors=(problem, *_UPLOAD),
            ),
            Route(
                "GET",
                base,
                kept,
                partial(self.recent, kind),
                response=models.PictureList,
                parameters=_LIMIT,
                errors=(Problem.INVALID,),
            ),
            Route(
                "GET",
                f"{base}/{{id}}",
                f"One {kind}, by id or SHA-256",
                partial(self.one, kind),
                response=models.PictureAnswer,
                errors=(Problem.NOT_FOUND,),
            ),
            Route(
                "GET",
                f"{base}/{{id}}/file",
                f"The finished {kind}",
                partial(self.file, kind),
                response_type="video/mp4" if kind == VIDEO else "image/*",
                errors=(Problem.NOT_FOUND, Problem.RANGE),
            ),
            Route(
                "DELETE",
                f"{base}/{{id}}",
                f"Remove a {kind} that nothing names any more",
                partial(self.delete, kind),
                status=204,
                errors=(Problem.NOT_FOUND, Problem.IN_USE),
            ),
        ]

    async def upload(self, kind: str, request: web.Request) -> models.PictureAnswer:
        title = views.clean_line(request.query.get("title", ""), "title")
        row = await self._gallery.upload(kind, request.content.iter_chunked(256 * 1024), title)
        return picture(row)

    async def recent(self, kind: str, request: web.Request) -> models.PictureList:
        rows = await self._gallery.recent(kind, number(request, "limit", 50, 1, 1000))
        return models.PictureList(pictures=[picture(row) for row in rows])

    async def one(self, kind: str, request: web.Request) -> models.PictureAnswer:
        return picture(await self._gallery.find(request.match_info["id"], kind))

    async def file(self, kind: str, request: web.Request) -> web.StreamResponse:
        row = await self._gallery.find(request.match_info["id"], kind)
        return await send_file(request, self._gallery.path(row), row.sha256, row.content_type)

    async def delete(self, kind: str, request: web.Request) -> web.StreamResponse:
        await self._gallery.delete(request.match_info["id"], kind)
        return web.Response(status=204)


def picture(row: PictureRow) -> models.PictureAnswer:
    """A kept file as the API says it."""
    return models.PictureAnswer.model_validate(
        {
            "id": row.id,
            "sha256": row.sha256,
            "title": row.title,
            "content_type": row.content_type,
            "size_bytes": row.size_bytes,
            "width_px": row.width_px,
            "height_px": row.height_px,
            "duration_ms": row.duration_ms,
            "created": row.created,
            "file": f"{API}/{row.kind}s/{row.id}/file",
        }
    )
