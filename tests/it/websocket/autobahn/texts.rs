//! Group 6: texts, and what is none.
//!
//! Sequences that are built like UTF-8, for code points and lengths that it does not have, are made
//! here by hand: `char` has none of them.

use rpc_tests::websocket::TEXT;

use super::{Case, FIRST, LAST, MIDDLE, case, play};

/// A Greek word, `κόσμε`: five characters, of which the second has three bytes and the others two.
const WORD: &str = "\u{3ba}\u{1f79}\u{3c3}\u{3bc}\u{3b5}";

/// A word, the first half of a surrogate pair, and a word: the text that the suite takes.
fn broken_text() -> (Vec<u8>, &'static [u8], &'static [u8]) {
    (WORD.as_bytes().to_vec(), &[0xed, 0xa0, 0x80], b"edited")
}

#[tokio::test(start_paused = true)]
async fn group_6_1_and_6_2_valid_texts() {
    let text = "Hello-µ@ßöäüàá-UTF-8!!";
    let (start, end) = text.as_bytes().split_at("Hello-µ@ßöä".len());
    play([
        case("6.1.1 an empty text").echoed(TEXT, ""),
        case("6.1.2 three empty fragments").in_fragments(TEXT, [&b""[..], b"", b""]),
        case("6.1.3 an empty fragment, one that is not, an empty one")
            .in_fragments(TEXT, [&b""[..], b"middle frame payload", b""]),
        case("6.2.1 a whole text").echoed(TEXT, text),
        case("6.2.2 two fragments, cut between two characters").in_fragments(TEXT, [start, end]),
        case("6.2.3 fragments of one byte").in_fragments(TEXT, text.as_bytes().chunks(1)),
        case("6.2.4 fragments of one byte").in_fragments(TEXT, WORD.as_bytes().chunks(1)),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn group_6_3_invalid_texts() {
    let (start, surrogate, end) = broken_text();
    let all = [&start, surrogate, end].concat();
    // Of the surrogate's three bytes the second says that it is one.
    let bad = start.len() + 2;
    let bytes = all[..bad].iter().zip(std::iter::once(FIRST).chain(std::iter::repeat(MIDDLE)));
    let fragments =
        bytes.fold(case("6.3.2 fragments of one byte"), |case, (byte, first)| case.sends(first, [*byte]));
    let fragments = all[bad..].iter().fold(fragments.broken(1007), |case, byte| case.behind(MIDDLE, [*byte]));
    play([case("6.3.1 a whole text").sends(TEXT, &all).broken(1007), fragments.behind(LAST, "")]).await;
}

/// Refused with the fragment in which it goes wrong, and a text of one frame when it is whole.
#[tokio::test(start_paused = true)]
async fn group_6_4_failing_fast() {
    let (start, _, end) = broken_text();
    // Beyond the last code point: the second byte says so.
    let bad = [0xf4, 0x90, 0x80, 0x80];
    let all = [&start, &bad[..], end].concat();
    play([
        case("6.4.1 a valid fragment, one that makes the text invalid, and the rest")
            .sends(FIRST, &start)
            .sends(MIDDLE, bad)
            .broken(1007)
            .behind(LAST, end),
        case("6.4.2 the same, cut behind the byte that makes it invalid")
            .sends(FIRST, [&start, &bad[..1]].concat())
            .sends(MIDDLE, &bad[1..2])
            .broken(1007)
            .behind(LAST, [&bad[2..], end].concat()),
        case("6.4.3, 6.4.4 a whole text, in pieces").sends(TEXT, all).broken(1007),
    ])
    .await;
}

/// How UTF-8 would write `point` in `length` bytes, whether it may or not: `length` is 2 to 6.
fn written(point: u32, length: u32) -> Vec<u8> {
    let marks = !(0xff_u8 >> length);
    let lead = marks | u8::try_from(point >> (6 * (length - 1))).expect("it fits");
    let rest = (0..length - 1).rev().map(|n| 0x80 | (point >> (6 * n)) as u8 & 0x3f);
    std::iter::once(lead).chain(rest).collect()
}

/// The largest code point of a pattern of `length` bytes.
fn largest(length: u32) -> u32 {
    match length {
        1 => 0x7f,
        2 => 0x7ff,
        length => (1 << (5 * length + 1)) - 1,
    }
}

/// A text in one frame, and the same in fragments of one byte: it comes back, or the session ends.
///
/// `bad` is where it goes wrong: so many bytes are still the start of some text. Where these are all
/// there are, it does with its end.
fn texts(number: &str, text: &[u8], bad: Option<usize>) -> [Case; 2] {
    let (whole, cut) =
        (case(format!("{number} {text:02x?}")), case(format!("{number} {text:02x?} in fragments")));
    let Some(bad) = bad else {
        let cut = match text.is_empty() {
            true => cut,
            false => cut.in_fragments(TEXT, text.chunks(1)),
        };
        return [whole.echoed(TEXT, text), cut];
    };
    let cut = text.iter().enumerate().fold(cut, |case, (index, byte)| {
        let first = if index == 0 { FIRST } else { MIDDLE };
        match index <= bad {
            true => case.sends(first, [*byte]),
            false => case.behind(first, [*byte]),
        }
    });
    let cut = match bad < text.len() {
        true => cut.behind(LAST, ""),
        false => cut.sends(LAST, ""),
    };
    [whole.sends(TEXT, text).broken(1007), cut.broken(1007)]
}

fn valid(number: &str, texts_of: impl IntoIterator<Item = String>) -> Vec<Case> {
    let each = texts_of.into_iter();
    each.flat_map(|text| texts(number, text.as_bytes(), None)).collect()
}

/// Each goes wrong behind so many bytes.
fn invalid(number: &str, texts_of: impl IntoIterator<Item = (Vec<u8>, usize)>) -> Vec<Case> {
    let each = texts_of.into_iter();
    each.flat_map(|(text, bad)| texts(number, &text, Some(bad))).collect()
}

fn character(point: u32) -> String {
    char::from_u32(point).expect("a character").to_string()
}

#[tokio::test(start_paused = true)]
async fn group_6_5_to_6_11_sequences_and_their_bounds() {
    let word = WORD.as_bytes();
    let prefixes = (1..=word.len()).flat_map(|end| {
        let is_whole = WORD.is_char_boundary(end);
        texts("6.6", &word[..end], (!is_whole).then_some(end))
    });
    play(prefixes).await;
    let samples = ["hello$world", "hello¢world", "hello€world", "hello\u{24b62}world", WORD];
    play(valid("6.5", samples.map(str::to_owned))).await;
    play(valid("6.7", [0, 0x80, 0x800, 0x1_0000].map(character))).await;
    // Leads of five and six bytes are in no text.
    play(invalid("6.8", [5, 6].map(|length| (written(largest(length - 1) + 1, length), 0)))).await;
    play(valid("6.9", [0x7f, 0x7ff, 0xffff, 0x10_ffff].map(character))).await;
    play(invalid("6.10", [4, 5, 6].map(|length| (written(largest(length), length), 0)))).await;
    play(valid("6.11", [0xd7ff, 0xe000, 0xfffd, 0x10_ffff].map(character))).await;
    play(invalid("6.11", [(written(0x11_0000, 4), 1)])).await;
}

#[tokio::test(start_paused = true)]
async fn group_6_12_to_6_16_bytes_where_they_do_not_belong() {
    let continuations: Vec<u8> = (0x80..=0xbf).collect();
    let alternating =
        (2..=7).map(|length| [0x80, 0xbf].into_iter().cycle().take(length).collect::<Vec<u8>>());
    let alone = [vec![0x80], vec![0xbf], continuations].into_iter().chain(alternating);
    play(invalid("6.12", alone.map(|text| (text, 0)))).await;

    // A lead that nothing follows: a space does. What is no lead at all fails by itself.
    let is_lead = |byte: u8| matches!(byte, 0xc2..=0xf4);
    let leads = |from: u8, to: u8| -> Vec<u8> { (from..=to).flat_map(|lead| [lead, b' ']).collect() };
    for (from, to) in [(0xc0, 0xdf), (0xe0, 0xef), (0xf0, 0xf7), (0xf8, 0xfb), (0xfc, 0xfd)] {
        play(invalid("6.13", [(leads(from, to), usize::from(is_lead(from)))])).await;
    }

    let cut = |point: u32, length: u32| {
        let mut text = written(point, length);
        text.pop();
        text
    };
    // The first and the last sequence of each length, without its last byte. Overlong ones fail with the
    // byte that says so.
    let incomplete = [
        (cut(0, 2), 0),
        (cut(0, 3), 1),
        (cut(0, 4), 1),
        (cut(0, 5), 0),
        (cut(0, 6), 0),
        (cut(largest(2), 2), 1),
        (cut(largest(3), 3), 2),
        (cut(largest(4), 4), 0),
        (cut(largest(5), 5), 0),
        (cut(largest(6), 6), 0),
    ];
    let together: Vec<u8> = incomplete.iter().flat_map(|(text, _)| text.clone()).collect();
    play(invalid("6.14", incomplete)).await;
    play(invalid("6.15", [(together, 0)])).await;
    play(invalid("6.16", [&[0xfe][..], &[0xff], &[0xfe, 0xfe, 0xff, 0xff]].map(|text| (text.to_vec(), 0))))
        .await;
}

#[tokio::test(start_paused = true)]
async fn group_6_17_to_6_21_overlong_sequences_and_surrogates() {
    // With which byte it is known: a lead of two that says less than 0x80, a second byte of three or four.
    let bad = |length: u32| usize::from(length == 3 || length == 4);
    for (number, point) in [("6.17", Some(u32::from('/'))), ("6.18", None), ("6.19", Some(0))] {
        let overlong = (2..=6)
            .map(|length| (written(point.unwrap_or_else(|| largest(length - 1)), length), bad(length)));
        play(invalid(number, overlong)).await;
    }
    let halves = [0xd800, 0xdb7f, 0xdb80, 0xdbff, 0xdc00, 0xdf80, 0xdfff];
    play(invalid("6.20", halves.map(|half| (written(half, 3), 1)))).await;
    let pairs =
        [0xd800, 0xdb7f, 0xdb80, 0xdbff].into_iter().flat_map(|high| [0xdc00, 0xdfff].map(|low| (high, low)));
    play(invalid("6.21", pairs.map(|(high, low)| ([written(high, 3), written(low, 3)].concat(), 1)))).await;
}

#[tokio::test(start_paused = true)]
async fn group_6_22_and_6_23_code_points_that_are_no_characters_are_texts() {
    let last_of_planes = (0..=0x10).flat_map(|plane| [0xfffe, 0xffff].map(|point| plane << 16 | point));
    play(valid("6.22", last_of_planes.map(character))).await;
    play(valid("6.23", (0xfff9..=0xffff).map(character))).await;
}
