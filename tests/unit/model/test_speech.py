"""What is read out for what was written."""

from __future__ import annotations

import re
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.model.speech import MAX_SPEECH_CHARS, speakable
from agent.model.spoken_numbers import cardinal, digits, whole
from agent.model.spoken_words import SpokenWords, parse_words, words_of

CASES = [
    # abbreviations
    ("UBND xã họp", "Ủy ban nhân dân xã họp"),
    ("HĐND và MTTQ xã", "Hội đồng nhân dân và Mặt trận Tổ quốc xã"),
    ("BCH PCTT&TKCN xã", "Ban chỉ huy phòng chống thiên tai tìm kiếm cứu nạn xã"),
    ("Đội PCCC", "Đội phòng cháy chữa cháy"),
    ("phát triển KT-XH", "phát triển kinh tế xã hội"),
    ("họp tại UBND. Mời bà con", "họp tại Ủy ban nhân dân. Mời bà con"),
    ("TP. Cà Mau", "thành phố Cà Mau"),
    ("TX. Sông Cầu, TT. Năm Căn", "thị xã Sông Cầu, thị trấn Năm Căn"),
    ("P.5, Q.1, P. Tân Lộc", "phường năm, quận một, phường Tân Lộc"),
    ("TT Năm Căn", "thị trấn Năm Căn"),
    ("mã VNPT", "mã vê nờ pê tê"),
    ("KHẨN CẤP: BÃO", "KHẨN CẤP: BÃO"),
    # documents and roads
    ("NĐ 49/2024/NĐ-CP", "nghị định bốn mươi chín năm hai nghìn không trăm hai mươi tư nghị định Chính phủ"),
    ("Quyết định số 12/QĐ-UBND", "Quyết định số mười hai quyết định Ủy ban nhân dân"),
    ("CT 05", "chỉ thị năm"),
    ("QL1A", "quốc lộ một A"),
    ("ĐT.741 và QL 63", "đường tỉnh bảy trăm bốn mươi mốt và quốc lộ sáu mươi ba"),
    # telephone numbers
    ("Gọi 1800 1234", "Gọi một tám không không, một hai ba bốn"),
    ("0912.345.678", "không chín một hai, ba bốn năm, sáu bảy tám"),
    ("0912345678 20 hộ", "không chín một hai, ba bốn năm, sáu bảy tám hai mươi hộ"),
    ("(0290) 3831234", "không hai chín không, ba tám ba một hai ba bốn"),
    ("+84 912 345 678", "cộng tám bốn, chín một hai, ba bốn năm, sáu bảy tám"),
    ("Gọi 113/114/115.", "Gọi một một ba, một một bốn, một một năm."),
    ("gọi số 112", "gọi số một một hai"),
    ("Có 113 hộ dân bị ngập", "Có một trăm mười ba hộ dân bị ngập"),
    # measures
    ("3-4 m", "ba đến bốn mét"),
    ("mưa 100-200mm", "mưa một trăm đến hai trăm mi li mét"),
    ("62 km/h", "sáu mươi hai ki lô mét trên giờ"),
    ("1.200 m3/s", "một nghìn hai trăm mét khối trên giây"),
    ("85%", "tám mươi lăm phần trăm"),
    ("38°C", "ba mươi tám độ xê"),
    ("-5°C", "âm năm độ xê"),
    ("25kg, 3,5ha", "hai mươi lăm ki lô gam, ba phẩy năm héc ta"),
    ("cấp 8-9, giật cấp 11", "cấp tám đến chín, giật cấp mười một"),
    ("sóng cao 3,0-5,0m", "sóng cao ba phẩy không đến năm phẩy không mét"),
    ("1.250.000đ", "một triệu hai trăm năm mươi nghìn đồng"),
    ("2,75 tỷ", "hai phẩy bảy mươi lăm tỷ"),
    ("0,05", "không phẩy không năm"),
    ("mục 1.2.3", "mục một chấm hai chấm ba"),
    # dates and hours
    ("12/9/2026", "ngày mười hai tháng chín năm hai nghìn không trăm hai mươi sáu"),
    ("ngày 5/4", "ngày mùng năm tháng tư"),
    ("ngày mồng 2/9", "ngày mồng hai tháng chín"),
    ("ngày 3.11.2026", "ngày mùng ba tháng mười một năm hai nghìn không trăm hai mươi sáu"),
    ("Từ 12-15/9", "Từ ngày mười hai đến ngày mười lăm tháng chín"),
    ("12/9 - 20/9", "ngày mười hai tháng chín đến ngày hai mươi tháng chín"),
    ("tháng 9/2026", "tháng chín năm hai nghìn không trăm hai mươi sáu"),
    ("ngày 45/13", "ngày bốn mươi lăm trên mười ba"),
    ("sáng 12-9", "sáng ngày mười hai tháng chín"),
    ("ngày 12-15", "ngày mười hai đến mười lăm"),
    ("ngày 12 - 9 - 2026", "ngày mười hai tháng chín năm hai nghìn không trăm hai mươi sáu"),
    ("số nhà 12/3", "số nhà mười hai trên ba"),
    ("họp.Mời bà con, v.v.", "họp. Mời bà con, vân vân"),
    ("ĐT: 0912345678; BĐ2", "điện thoại: không chín một hai, ba bốn năm, sáu bảy tám; báo động hai"),
    ("2 m - 3 m", "hai đến ba mét"),
    ("chiếm 2/3", "chiếm hai phần ba"),
    ("17h30", "mười bảy giờ ba mươi phút"),
    ("05:00 - 05:30", "năm giờ đến năm giờ ba mươi phút"),
    ("trực 24/24", "trực hai mươi tư trên hai mươi tư"),
    ("quý IV, khóa XV, thứ 4", "quý bốn, khóa mười lăm, thứ tư"),
    ("COVID-19", "COVID mười chín"),
    # addresses
    ("Xem https://tanloc.gov.vn/tin?id=1 nhé", "Xem địa chỉ trên mạng nhé"),
    ("Xem www.x.vn.", "Xem địa chỉ trên mạng."),
    ("Xem tanloc.camau.gov.vn/a", "Xem địa chỉ trên mạng"),
    ("Gửi a.b@tanloc.gov.vn, trước 17h", "Gửi địa chỉ thư điện tử, trước mười bảy giờ"),
    # what is no speech
    ("Khẩn!!! ⚠️⚠️ nước lên...", "Khẩn! nước lên."),
    ("dòng một\n\ndòng hai.\r\ndòng ba", "dòng một. dòng hai. dòng ba"),
    ("<b>Khẩn</b> “bà con” (thôn 3) đi", "Khẩn bà con, thôn ba, đi"),
    ("xa\u200bxôi\u202e \x00\x07lắm\ufeff", "xaxôi lắm"),
    (" \u200b ⚠️ ... ", ""),
    ("https://x.vn, a@b.vn.", ""),
    ("", ""),
]


@pytest.mark.parametrize(("text", "said"), CASES)
def test_vietnamese_is_written_out(text: str, said: str) -> None:
    assert speakable(text, "vi") == said


@pytest.mark.parametrize("text", [text for text, _ in CASES])
def test_what_has_been_written_out_stays(text: str) -> None:
    once = speakable(text, "vi")
    assert speakable(once, "vi") == once


def test_decomposed_text_is_composed_first() -> None:
    assert speakable(unicodedata.normalize("NFD", "Nước lũ ở UBND"), "vi-VN") == "Nước lũ ở Ủy ban nhân dân"


@pytest.mark.parametrize(
    ("text", "language", "said"),
    [
        ("QL 1, 12/9/2026", "en", "QL 1, 12/9/2026"),
        ("See https://x.vn/a\u200b now 🚨", "en", "See now"),
        ("ទឹកជំនន់ ១២", "km", "ទឹកជំនន់ ១២"),
    ],
)
def test_other_languages_are_only_cleaned(text: str, language: str, said: str) -> None:
    assert speakable(text, language) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "không"),
        (10, "mười"),
        (15, "mười lăm"),
        (21, "hai mươi mốt"),
        (24, "hai mươi tư"),
        (105, "một trăm linh năm"),
        (1_005, "một nghìn không trăm linh năm"),
        (100_000, "một trăm nghìn"),
        (1_000_015, "một triệu không trăm mười lăm"),
        (34_000_000_001, "ba mươi tư tỷ không trăm linh một"),
    ],
)
def test_numbers_in_words(number: int, said: str) -> None:
    assert cardinal(number) == said


def test_a_number_without_a_name_is_refused_and_an_identifier_spelled() -> None:
    with pytest.raises(ValueError, match="no short name"):
        cardinal(10**12)
    assert whole("0123") == digits("0123") == "không một hai ba"


def test_a_long_text_ends_with_a_sentence() -> None:
    said = speakable("Bà con chú ý nghe thông báo. " * 400, "vi")
    assert MAX_SPEECH_CHARS - 40 < len(said) <= MAX_SPEECH_CHARS
    assert said.endswith("thông báo.")
    assert len(speakable("chữ " * 5000, "vi", limit=None)) == 19_999
    assert len(speakable("a" * 9_000, "vi")) == MAX_SPEECH_CHARS


def test_words_of_a_commune_win() -> None:
    own = parse_words('[abbreviations]\nBT = "bến tàu"\nTP = "thị phần"')
    said = speakable("BT của TP và UBND", "vi", words=words_of("vi").and_more(own))
    assert said == "bến tàu của thị phần và Ủy ban nhân dân"


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ("[abbreviation]\nA = 'b'", "abbreviation"),
        ("[units]\nA = 1", "units.A"),
        (f"[units]\nA = '{'x' * 201}'", "units.A"),
        ("units", "after a key"),
    ],
)
def test_a_wrong_table_is_refused_by_name(table: str, named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(named)):
        parse_words(table)


def test_a_language_without_a_table_has_no_words() -> None:
    assert words_of("km").abbreviations == SpokenWords().abbreviations == {}
    assert words_of("../vi").abbreviations == {}


PIECES = st.sampled_from(
    [
        "https://",
        "www.",
        "a@b.vn",
        "12/9",
        "-",
        "17h",
        "0912",
        "UBND",
        ".",
        "1.000",
        "đ",
        "%",
        "\n",
        "(",
        "x",
        " ",
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=30).map("".join)),
    st.sampled_from(["vi", "en", "km"]),
)
def test_nothing_a_machine_would_stumble_over_is_left(text: str, language: str) -> None:
    said = speakable(text, language)
    assert said == unicodedata.normalize("NFC", said) == said.strip()
    assert not any(unicodedata.category(char)[0] == "C" for char in said)
    assert not re.search(r"://|\bwww\.\w|\w@\w", said)
    if language == "vi":
        assert not re.search("[0-9]", said)


HOSTILE = {
    "digits": "1",
    "dotted": "1.",
    "ranges": "1-",
    "groups": "1.000",
    "phones": "0912 ",
    "mails": "a@",
    "hosts": "a.",
    "hyphens": "A-",
    "slashes": "12/",
    "times": "1:2",
    "marks": "e\u0301\u0323\u0323\u0323\u0323\u0323",
    "tags": "<a",
    "stops": ". , ",
    "lines": "\n ",
    "open": "(",
    "abbreviations": "TP.",
    "spaces": "\t",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE.keys())
def test_work_grows_with_the_text_and_not_with_its_square(piece: str) -> None:
    def spent(length: int) -> float:
        text = piece * (length // len(piece)) + "x"
        best = float("inf")
        for _ in range(2):
            began = time.process_time()
            speakable(text, "vi", limit=None)
            best = min(best, time.process_time() - began)
        return best

    spent(100)
    # sixteen times the text: linear work takes 16 times as long, quadratic work 256 times
    assert spent(32_000) < 80 * spent(2_000) + 0.02
