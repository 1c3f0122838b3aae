use super::*;
use crate::framing::tests::{fatal_error, feed_chunks, frames};

fn all() -> [(LengthPrefixedFramer, &'static [u8]); 7] {
    [
        (LengthPrefixedFramer::u8(), &[2]),
        (LengthPrefixedFramer::u16_be(), &[0, 2]),
        (LengthPrefixedFramer::u16_le(), &[2, 0]),
        (LengthPrefixedFramer::u32_be(), &[0, 0, 0, 2]),
        (LengthPrefixedFramer::u32_le(), &[2, 0, 0, 0]),
        (LengthPrefixedFramer::u64_be(), &[0, 0, 0, 0, 0, 0, 0, 2]),
        (LengthPrefixedFramer::u64_le(), &[2, 0, 0, 0, 0, 0, 0, 0]),
    ]
}

#[test]
fn the_length_stands_in_front_in_its_order() {
    for (framer, prefix) in all() {
        assert_eq!(frames(&framer, &["{}"]), [prefix, b"{}"].concat(), "{framer:?}");
    }
}

#[test]
fn frames_come_out_whole_however_they_arrive() {
    for (framer, _) in all() {
        let long = "x".repeat(200);
        let bytes = frames(&framer, &["{}", &long, "", "[1]"]);
        for step in 1..=bytes.len() {
            let (found, errors) = feed_chunks(framer.clone(), &bytes, step, usize::MAX);
            assert_eq!(found, ["{}", &long, "", "[1]"], "{framer:?} in pieces of {step}");
            assert_eq!(errors, []);
        }
    }
}

#[test]
fn a_frame_over_the_limit_is_dropped_and_the_next_is_intact() {
    for (framer, _) in all() {
        let bytes = frames(&framer, &["0123456789", "0123456789x", &"y".repeat(100), "{}"]);
        for step in 1..=bytes.len() {
            let (found, errors) = feed_chunks(framer.clone(), &bytes, step, 10);
            assert_eq!(found, ["0123456789", "{}"], "{framer:?} in pieces of {step}");
            assert_eq!(errors, [11, 100].map(|size| FrameError::TooLarge { size, limit: 10 }));
        }
    }
}

#[test]
fn a_length_beyond_all_memory_is_no_overflow() {
    let mut framer = LengthPrefixedFramer::u64_le();
    let dropped = framer.next(&[0xff; 8]).expect("a length");
    assert!(matches!(dropped, Framed::Oversized { size: usize::MAX, consumed: 8, .. }));
    assert_eq!(framer.next(&[b'x'; 64]), Ok(Framed::Dropping { consumed: 64, is_last: false }));
}

#[test]
fn a_message_too_long_for_its_prefix_is_refused() {
    for (framer, limit) in [(LengthPrefixedFramer::u8(), 255), (LengthPrefixedFramer::u16_be(), 65_535)] {
        for (size, outcome) in
            [(limit, Ok(())), (limit + 1, Err(FrameError::TooLarge { size: limit + 1, limit }))]
        {
            let mut out = Vec::new();
            framer.begin(&mut out);
            out.resize(out.len() + size, b'x');
            assert_eq!(framer.finish(&mut out, 0), outcome);
        }
    }
}

#[test]
fn netstrings_come_out_whole_however_they_arrive() {
    let messages = ["{}", "", &"x".repeat(120), "{\"é\":\",\"}"];
    let bytes = frames(&NetstringFramer::new(), &messages);
    assert!(bytes.starts_with(b"2:{},0:,120:xxx"));
    for step in 1..=bytes.len() {
        let (found, errors) = feed_chunks(NetstringFramer::new(), &bytes, step, usize::MAX);
        assert_eq!(found, messages, "in pieces of {step}");
        assert_eq!(errors, []);
    }
}

#[test]
fn a_netstring_over_the_limit_is_dropped_and_the_next_is_intact() {
    let bytes = frames(&NetstringFramer::new(), &[&"x".repeat(50), "{}", "0123456789", "0123456789x", "[]"]);
    for step in 1..=bytes.len() {
        let (found, errors) = feed_chunks(NetstringFramer::new(), &bytes, step, 10);
        assert_eq!(found, ["{}", "0123456789", "[]"], "in pieces of {step}");
        assert_eq!(errors, [50, 11].map(|size| FrameError::TooLarge { size, limit: 10 }));
    }
}

#[test]
fn what_is_no_netstring_is_named() {
    for (bytes, error) in [
        ("{}", "`{` is no length of a frame in bytes"),
        (":", "`:` is no length of a frame in bytes"),
        ("02:{},", "`02:` is no length of a frame in bytes"),
        ("-1:", "`-` is no length of a frame in bytes"),
        ("99999999999999999999:", "`99999999999999999999` is no length of a frame in bytes"),
        ("999999999999999999999", "`999999999999999999999` is no length of a frame in bytes"),
        ("2:{}2:{},", "a comma behind a netstring was expected, and `2` came"),
    ] {
        for step in 1..=bytes.len() {
            assert_eq!(
                fatal_error(NetstringFramer::new(), bytes.as_bytes(), step).to_string(),
                error,
                "{bytes}"
            );
        }
    }
}

#[test]
fn the_comma_of_a_dropped_frame_is_looked_for() {
    let mut framer = NetstringFramer::new();
    framer.set_limit(1);
    assert!(matches!(framer.next(b"2:"), Ok(Framed::Oversized { size: 2, limit: 1, consumed: 2 })));
    assert_eq!(framer.next(b"{}x"), Ok(Framed::Dropping { consumed: 2, is_last: true }));
    assert!(matches!(framer.next(b"x"), Err(FrameError::Unexpected { .. })));
}
