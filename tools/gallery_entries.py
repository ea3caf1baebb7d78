"""What the gallery of boards shows: one entry per picture, from the smallest board to a television."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from agent.model.board import Facts, Page, PageKind
from agent.signage.screen import Face
from drivers.api import Colours

NOW = datetime(2026, 11, 22, 10, 5, tzinfo=UTC)
FACTS = Facts(
    station="Xã Mường Lống",
    next_title="Thời sự Đài Tiếng nói Việt Nam",
    next_start=datetime(2026, 11, 22, 11, 0, tzinfo=UTC),
    weather="Nhiều mây, mưa rào, 18-23 °C",
)
PICTURE = "ruong-bac-thang.jpg"


@dataclass(frozen=True, slots=True)
class Entry:
    """One picture of the gallery.

    Attributes:
        name: of its file, without `.png`.
        vietnamese: what it shows.
        english: the same.
        face: the board.
        page: what is on it.
        most: screens that are drawn, one below the other.
    """

    name: str
    vietnamese: str
    english: str
    face: Face
    page: Page
    facts: Facts = field(default=FACTS)
    most: int = 3


P10 = Face(192, 64, pitch_mm=10, viewing_m=15)
P5 = Face(320, 160, pitch_mm=5, viewing_m=12)
LONG = Face(512, 128, pitch_mm=6, viewing_m=20)
TINY = Face(64, 32, pitch_mm=10, viewing_m=8)
MONO = Face(128, 32, colours=Colours.MONO, pitch_mm=10, viewing_m=12)
DUAL = Face(192, 64, colours=Colours.DUAL, pitch_mm=10, viewing_m=15)
STRIP = Face(320, 32, colours=Colours.MONO, pitch_mm=10, viewing_m=15)
WALL = Face(384, 288, pitch_mm=5, viewing_m=25)
TELEVISION = Face(1920, 1080, pitch_mm=0.65, viewing_m=6)
PILLAR = Face(1080, 1920, pitch_mm=0.65, viewing_m=5)

ENTRIES = (
    Entry(
        "cho-p10",
        "Không có gì đến giờ phát: tên xã, giờ, ngày dương và âm lịch. P10, 192 × 64 điểm.",
        "Nothing is due: name, clock, solar and lunar date. P10, 192 × 64 pixels.",
        P10,
        Page("idle", PageKind.IDLE),
    ),
    Entry(
        "ban-tin-p10",
        "Bản tin đang phát trên loa. Chữ không đủ chỗ sang màn hình sau, không thu nhỏ dưới cỡ đọc được.",
        "The bulletin that sounds now. Text that does not fit flows on, it never shrinks below legible size.",
        P10,
        Page(
            "a",
            PageKind.BULLETIN,
            title="Lịch tiêm phòng gia súc",
            text="Từ 7 giờ 30 thứ Ba, 24/11, thú y xã tiêm phòng lở mồm long móng cho trâu, bò "
            "tại nhà văn hoá các bản. Đề nghị bà con nhốt gia súc từ tối hôm trước.",
            source="UBND xã Mường Lống",
        ),
        most=4,
    ),
    Entry(
        "khan-cap-p5",
        "Khẩn cấp: chiếm cả bảng, tương phản cao, ký hiệu, viền nháy mỗi giây một lần. P5, 320 × 160.",
        "Emergency: the whole board, high contrast, symbol, border blinking once a second. P5, 320 × 160.",
        P5,
        Page(
            "a",
            PageKind.EMERGENCY,
            title="LŨ QUÉT! SƠ TÁN NGAY",
            text="Nước suối Huồi Giảng lên rất nhanh. Bà con hai bên suối rời nhà ngay, "
            "lên trường học và trụ sở xã. Không qua ngầm, cầu tràn.",
            event="flash_flood",
            source="UBND xã Mường Lống",
            issued=NOW,
        ),
    ),
    Entry(
        "khan-cap-mot-mau",
        "Khẩn cấp trên bảng một màu 128 × 32.",
        "Emergency on a one-colour board of 128 × 32.",
        MONO,
        Page(
            "a",
            PageKind.EMERGENCY,
            title="BÃO SỐ 9",
            text="Chằng chống nhà cửa, không ra khơi.",
            event="storm",
        ),
    ),
    Entry(
        "hai-mau",
        "Bảng hai màu (đỏ, xanh, vàng) 192 × 64.",
        "A two-colour board (red, green, amber) of 192 × 64.",
        DUAL,
        Page(
            "a",
            PageKind.PAGE,
            title="Họp dân bản Huồi Giảng 1",
            text="19 giờ 30 thứ Tư tại nhà văn hoá.",
            ticker="Nội dung: bình xét hộ nghèo năm 2026, làm đường liên bản.",
        ),
    ),
    Entry(
        "chu-chay",
        "Chữ chạy dưới chữ đứng yên. P6, 512 × 128.",
        "A ticker below text that stands still. P6, 512 × 128.",
        LONG,
        Page(
            "a",
            PageKind.PAGE,
            title="Thu mua gừng, nghệ",
            text="Hợp tác xã thu mua tại chợ trung tâm, từ 6 giờ các ngày thứ Bảy.",
            ticker="Điện lực Kỳ Sơn cắt điện từ 8 giờ đến 11 giờ ngày 25/11 để sửa đường dây.",
            weather="Trời rét, 12-17 °C",
        ),
    ),
    Entry(
        "ti-vi",
        "Màn hình 1920 × 1080 với ảnh, mã QR, thời tiết và chữ chạy.",
        "A television of 1920 × 1080 with picture, QR code, weather and ticker.",
        TELEVISION,
        Page(
            "a",
            PageKind.PAGE,
            title="Ngày hội Đại đoàn kết toàn dân tộc",
            text="Sáng Chủ nhật, 29/11, các bản tổ chức Ngày hội tại nhà văn hoá: văn nghệ, kéo co, đẩy gậy, "
            "bữa cơm đoàn kết. Mời bà con đến dự đông đủ.",
            picture=PICTURE,
            qr="https://muonglong.nghean.gov.vn/ngay-hoi",
            ticker="Đăng ký đội thi trước 17 giờ thứ Sáu tại Uỷ ban nhân dân xã, gặp anh Lầu Bá Chò.",
        ),
    ),
    Entry(
        "cot-dung",
        "Màn hình đứng 1080 × 1920.",
        "An upright display of 1080 × 1920.",
        PILLAR,
        Page(
            "a",
            PageKind.PAGE,
            title="Khám sức khoẻ miễn phí",
            text="Bệnh viện huyện khám mắt, đo huyết áp cho người trên 60 tuổi tại trạm y tế xã, "
            "từ 7 giờ ngày 26/11. Bà con mang theo thẻ bảo hiểm y tế.",
            picture=PICTURE,
            qr="https://muonglong.nghean.gov.vn/y-te",
        ),
        most=1,
    ),
    Entry(
        "cho-lon",
        "Màn hình chờ trên bảng lớn P5, 384 × 288, với chương trình sắp phát.",
        "The idle screen of a large P5 board, 384 × 288, with what comes next.",
        WALL,
        Page("idle", PageKind.IDLE),
    ),
    Entry(
        "truc-tiep",
        "Có người đang nói trực tiếp. 320 × 160.",
        "Somebody speaks live. 320 × 160.",
        P5,
        Page("a", PageKind.LIVE, title="Chủ tịch UBND xã nói chuyện", source="UBND xã Mường Lống"),
    ),
    Entry(
        "bao-yen",
        "Báo yên sau một tin khẩn cấp. 320 × 160.",
        "All clear after an emergency. 320 × 160.",
        P5,
        Page(
            "a",
            PageKind.ALL_CLEAR,
            title="Đã hết nguy hiểm",
            text="Nước suối đã rút. Bà con có thể về nhà.",
            event="all_clear",
            source="UBND xã Mường Lống",
            issued=NOW,
        ),
    ),
    Entry(
        "nhieu-chu-viet",
        "Chữ Khmer, Thái, Chăm, Lào, Trung Quốc trong một trang; ký tự không có phông thành ô gạch chéo.",
        "Khmer, Tai Viet, Cham, Lao and Chinese on one page; a character without a font is a crossed box.",
        P5,
        Page(
            "a",
            PageKind.PAGE,
            title="Tiếng Làng · ភាសាខ្មែរ",
            text="ꪼꪕ ꪀꪱꪣ ꪎꪴ ꨌꩌ ꨀꨇꩉ ພາສາລາວ 中文 Ẵ ễ ộ Ử 😀",
        ),
    ),
    Entry(
        "mot-dong",
        "Bảng một dòng 320 × 32.",
        "A board of one line, 320 × 32.",
        STRIP,
        Page("a", PageKind.PAGE, title="Ngày 26/11 cắt nước từ 8 giờ đến 16 giờ"),
    ),
    Entry(
        "nho-nhat",
        "Bảng nhỏ 64 × 32.",
        "A small board of 64 × 32.",
        TINY,
        Page("idle", PageKind.IDLE),
    ),
    Entry(
        "thieu-anh",
        "Ảnh hỏng: ô trống trung tính, và lỗi được báo lên. 320 × 160.",
        "A broken picture: a neutral box, and the fault is reported. 320 × 160.",
        P5,
        Page("a", PageKind.PAGE, title="Chợ phiên", text="Họp chợ sáng Chủ nhật.", picture="none"),
    ),
    Entry(
        "hinh-thu",
        "Hình thử của kỹ thuật viên: `loa board pattern grid`. 320 × 160.",
        "A technician's test picture: `loa board pattern grid`. 320 × 160.",
        P5,
        Page("grid", PageKind.PATTERN),
    ),
)
