//! Valid endpoints, and the errors of invalid ones.

use std::path::Path;

use super::Endpoint;

fn parse(url: &str) -> Endpoint {
    url.parse().unwrap()
}

#[test]
fn what_can_be_parsed_prints_the_same() {
    for url in [
        "tcp://127.0.0.1:0",
        "tcp://[::1]:65535",
        "tcp://localhost:80",
        "tcp://my_host.example.org:50001",
        "tls://example.org.:443",
        "ws://example.org/",
        "wss://example.org:8443/a/b?key=c%20d",
        "http://[::1]/",
        "ws://example.org/?key=c",
        "tcp://[fe80::1%25eth0]:8000",
        "tls://[fe80::1%252]:8000",
        "ws://[fe80::1%25eth0.100]/",
        "wss://[fe80::1%25en%20x%C3%A9]/?a",
        "http://[::1%25lo]:8000/",
        "https://[::1%25lo]/a",
        "https://example.org/wallet/a",
        "unix:/run/calc.sock",
        "unix:calc.sock",
        "unix:@calc",
        "stdio:",
        "memory:calc",
    ] {
        assert_eq!(parse(url).to_string(), url);
    }
}

#[test]
fn what_is_left_out_is_filled_in() {
    for (url, whole) in [
        ("TCP://localhost:1", "tcp://localhost:1"),
        ("tcp://localhost:1/", "tcp://localhost:1"),
        ("ws://example.org", "ws://example.org/"),
        ("ws://example.org:80", "ws://example.org/"),
        ("ws://example.org:443", "ws://example.org:443/"),
        ("https://example.org:443/x", "https://example.org/x"),
        ("unix:///run/calc.sock", "unix:/run/calc.sock"),
        ("ws://example.org?a", "ws://example.org/?a"),
        ("wss://example.org:8443?a=/?&b", "wss://example.org:8443/?a=/?&b"),
        ("http://[::1]?a", "http://[::1]/?a"),
        ("https://example.org:443?", "https://example.org/?"),
        ("tcp://[FE80::1%25eth%30]:1", "tcp://[fe80::1%25eth0]:1"),
    ] {
        assert_eq!(parse(url).to_string(), whole);
    }
    assert_eq!(parse("wss://example.org").port(), Some(443));
    assert_eq!(parse("http://example.org").port(), Some(80));
}

#[test]
fn its_parts_can_be_asked_for() {
    let web = parse("https://[::1]:8443/rpc?x=1");
    assert_eq!((web.scheme(), web.port()), ("https", Some(8443)));
    assert_eq!(web.host().as_deref(), Some("::1"));
    assert_eq!(web.path(), Some(Path::new("/rpc?x=1")));
    assert_eq!(web.socket_addr(), Some("[::1]:8443".parse().unwrap()));

    let numbered = parse("tcp://[fe80::1%252]:1");
    assert_eq!(numbered.host().as_deref(), Some("fe80::1%2"));
    assert_eq!(numbered.socket_addr(), Some("[fe80::1%2]:1".parse().unwrap()));
    assert_eq!(Endpoint::tcp("[fe80::1%2]:1".parse().unwrap()), numbered);
    let named = parse("ws://[fe80::1%25eth0]:1");
    assert_eq!((named.host().as_deref(), named.socket_addr()), (Some("fe80::1%eth0"), None));
    assert_eq!(parse("wss://example.org?x=1").path(), Some(Path::new("/?x=1")));

    let unix = parse("unix:/run/calc.sock");
    assert_eq!(unix.path(), Some(Path::new("/run/calc.sock")));
    assert_eq!((unix.host(), unix.port(), unix.socket_addr()), (None, None, None));

    let name = parse("tcp://localhost:1");
    assert_eq!((name.socket_addr(), name.path()), (None, None));
}

#[test]
fn the_error_names_the_part_that_is_wrong() {
    for (url, reason) in [
        ("localhost:80", "the scheme is missing"),
        ("gopher://x:1", "unknown scheme `gopher`"),
        ("tcp://localhost", "the port is missing: write tcp://localhost:PORT"),
        ("tls://[::1]", "the port is missing: write tls://[::1]:PORT"),
        ("tcp://:80", "the host is missing"),
        ("http://", "the host is missing"),
        ("tcp://x:99999", "the port `99999` is not between 0 and 65535"),
        ("tcp://x:", "is not between 0 and 65535"),
        ("tcp://x:8o", "is no number between 0 and 65535"),
        ("tcp://::1:80", "stands in brackets"),
        ("tcp://[::1:80", "bracket of the IPv6 address is not closed"),
        ("tcp://[::1]80", "`80` stands where `:PORT` should"),
        ("tcp://[zz]:80", "`zz` is no IPv6 address"),
        ("tcp://-x:80", "`-x` is no host name"),
        ("tcp://a b:80", "`a b` is no host name"),
        ("tcp://1.2.3.400:80", "`1.2.3.400` is no IPv4 address"),
        ("tcp://localhost:80/x", "`tcp` has no path, and something stands behind the port"),
        ("http://localhost/a b", "' ' cannot stand in the path"),
        ("http://localhost/a#b", "behind `#` would never be sent"),
        ("http://localhost?a b", "' ' cannot stand in the path"),
        ("http://localhost?a#b", "behind `#` would never be sent"),
        ("tcp://localhost:80?a", "`tcp` has no path, and something stands behind the port"),
        (
            "tcp://[fe80::1%eth0]:80",
            "before the zone of an IPv6 address stands `%25`: write [fe80::1%25eth0]",
        ),
        ("tcp://[fe80::1%25]:80", "the zone behind `%25` is missing"),
        ("tcp://[fe80::1%25a%2]:80", "`a%2` is no zone"),
        ("tcp://[fe80::1%25a%00]:80", "`a%00` is no zone"),
        ("tcp://[fe80::1%25a b]:80", "`a b` is no zone"),
        ("tcp://[fe80::1%254294967296]:80", "the zone `4294967296` is not between 0 and 4294967295"),
        ("tcp://[fe80::z%25eth0]:80", "`fe80::z%25eth0` is no IPv6 address"),
        ("tcp://[127.0.0.1%25eth0]:80", "`127.0.0.1%25eth0` is no IPv6 address"),
        ("tls://[fe80::1%25eth0]", "the port is missing: write tls://[fe80::1%25eth0]:PORT"),
        ("unix:", "the path is missing"),
        ("unix://", "the path is missing"),
        ("stdio:x", "nothing stands behind `stdio:`"),
        ("stdio://x", "`stdio` has no host: write stdio:"),
        ("memory:", "the name is missing"),
        ("memory://x", "`memory` has no host: write memory:NAME"),
    ] {
        let error = url.parse::<Endpoint>().unwrap_err().to_string();
        assert!(error.contains(reason), "{url}: {error}");
    }
}

/// Each of these is an address in the WHATWG URL standard: "ends in a number checker" and "IPv4
/// parser".
#[test]
fn an_address_that_is_written_in_another_way_is_no_name() {
    for host in [
        "0x7f000001",
        "0X7F000001",
        "0x",
        "127.1",
        "127.0.1",
        "0177.0.0.1",
        "2130706433",
        "1.2.3.4.",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.0x4",
        "0x7f.0.0.0x1",
        "example.1",
        "example.09",
        "example.0xff.",
        "%30x7f000001",
        "127%2e1",
        "\u{ff11}27.1",
        "127\u{3002}1",
    ] {
        for scheme in ["tcp", "tls", "ws", "wss", "http", "https"] {
            for url in [format!("{scheme}://{host}:1"), format!("{}://{host}:1", scheme.to_uppercase())] {
                let error = url.parse::<Endpoint>().unwrap_err().to_string();
                assert!(error.contains(&format!("`{host}` is no ")), "{url}: {error}");
            }
        }
        let defaults = [parse("tcp://localhost:1")];
        Endpoint::parse_or(host, &defaults).unwrap_err();
    }
    let error = "tcp://0x7f000001:1".parse::<Endpoint>().unwrap_err().to_string();
    assert!(error.contains("no IPv4 address") && error.ends_with("as in 127.0.0.1"), "{error}");
}

#[test]
fn a_name_may_have_numbers_elsewhere() {
    for host in ["1.example", "0x7f.example.org", "127.0.0.1.example", "0xg", "4x", "a1", "1-2"] {
        assert_eq!(parse(&format!("tcp://{host}:1")).host().as_deref(), Some(host));
    }
}

#[test]
fn no_password_gets_into_an_error() {
    for url in [
        "https://ann:secret@example.org/",
        "ann:secret@example.org:80",
        "http://ann:sec/ret@example.org/",
        "http://ann:sec?ret@example.org/",
        "http://ann:sec@x@example.org/",
        "ann:sec://ret@example.org/",
        "wss://example.org:99999/v1/secret?key=secret",
        "wss://example.org/v1/sec ret",
        "wss://example.org:99999?secret",
        "wss://example.org/#secret",
        "tcp://example.org:1/secret",
        "gopher://example.org/secret",
        "example.org/secret",
        "wss://example.org:99999/v1/a@secret",
    ] {
        let error = url.parse::<Endpoint>().unwrap_err();
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(!shown.contains("sec") && !shown.contains("ret"), "{shown}");
        }
    }
    let error = "https://ann:secret@example.org/".parse::<Endpoint>().unwrap_err().to_string();
    assert!(error.starts_with("`https://…@example.org/` is no endpoint: a user and a password"), "{error}");
}

#[test]
fn what_is_redacted_is_the_same_endpoint_and_shows_no_path() {
    for (url, shown) in [
        ("wss://example.org/v1/secret?key=secret", "wss://example.org/…"),
        ("ws://example.org:8080/", "ws://example.org:8080/"),
        ("ws://example.org/?secret", "ws://example.org/…"),
        ("ws://[fe80::1%25eth0]/secret", "ws://[fe80::1%25eth0]/…"),
        ("http://[::1]/secret", "http://[::1]/…"),
        ("tcp://example.org:1", "tcp://example.org:1"),
        ("unix:/run/calc.sock", "unix:/run/calc.sock"),
        ("memory:calc", "memory:calc"),
    ] {
        let redacted = parse(url).redacted();
        assert_eq!((redacted.to_string().as_str(), redacted.url().as_str()), (shown, url));
        assert_eq!(redacted, parse(url));
        assert_eq!(redacted.path(), parse(url).path());
        for debug in [format!("{redacted:?}"), format!("{:?}", parse(url)), format!("{:#?}", parse(url))] {
            assert!(debug.contains(shown) && !debug.contains("secret"), "{debug}");
        }
        assert_eq!(parse(url).to_string(), url);
    }
}

#[test]
fn what_has_no_default_is_missing() {
    let defaults = [parse("stdio:"), parse("tls://localhost:50002")];
    for (text, reason) in [
        ("tcp://localhost", "the port is missing, and has no default"),
        ("tcp://:1", "the host is missing, and has no default"),
        ("localhost", "the default, `stdio:`, has no host"),
        ("tls://x:y", "is no number"),
    ] {
        let error = Endpoint::parse_or(text, &defaults).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
    let error = Endpoint::parse_or("localhost:1", &[]).unwrap_err().to_string();
    assert!(error.contains("the scheme is missing, and there is no default"), "{error}");
    assert_eq!(Endpoint::parse_or("", &defaults).unwrap().to_string(), "stdio:");
    assert_eq!(Endpoint::parse_or("unix:x", &defaults).unwrap().to_string(), "unix:x");
    assert_eq!(Endpoint::parse_or("http://x", &defaults).unwrap().to_string(), "http://x/");
}
