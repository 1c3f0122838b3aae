use http::Version;

use super::*;

/// Checks a request to a server that does not know its scheme.
fn check(access: &WebAccess, host: &str, origin: Option<&str>, is_local: bool) -> Result<(), String> {
    check_at(access, None, host, origin, is_local).map_err(|denied| match denied {
        Denied::Forbidden(reason) => reason,
        Denied::Malformed(reason) => panic!("{host} {origin:?}: {reason}"),
    })
}

fn check_at(
    access: &WebAccess,
    own: Option<PageScheme>,
    host: &str,
    origin: Option<&str>,
    is_local: bool,
) -> Result<(), Denied> {
    let mut request = http::Request::get("/").header(header::HOST, host);
    if let Some(origin) = origin {
        request = request.header(header::ORIGIN, origin);
    }
    access.check(&request.body(()).unwrap().into_parts().0, own, || is_local)
}

#[test]
fn who_is_no_page_is_let_in_and_so_are_the_servers_own_pages() {
    let access = WebAccess::new();
    for (host, origin) in [
        ("example.org:8000", None),
        ("example.org:8000", Some("http://example.org:8000")),
        ("example.org", Some("https://example.org")),
        ("example.org:443", Some("https://example.org")),
        ("Example.ORG", Some("http://EXAMPLE.org:80")),
        ("[::1]:8000", Some("http://[::1]:8000")),
        ("127.0.0.1:8000", Some("http://127.0.0.1:8000")),
    ] {
        assert_eq!(check(&access, host, origin, false), Ok(()), "{host} {origin:?}");
    }
}

#[test]
fn a_page_of_another_origin_is_refused_unless_it_is_allowed() {
    let access = WebAccess::new();
    for (host, origin) in [
        ("127.0.0.1:8000", "https://evil.example"),
        ("127.0.0.1:8000", "http://127.0.0.1:9000"),
        ("127.0.0.1:8000", "http://localhost:8000"),
        ("example.org", "http://example.org.evil.example"),
        ("example.org", "http://example.org:8080"),
        ("example.org", "https://example.org@evil.example"),
        ("example.org:8000", "null"),
        ("example.org:8000", "file://"),
        ("example.org:8000", "example.org:8000"),
        ("example.org:8000", ""),
    ] {
        let refused = check(&access, host, Some(origin), false).unwrap_err();
        assert_eq!(refused, format!("pages of the origin `{origin}` may not come in"));
        assert_eq!(check(&access.clone().allow_origin(origin), host, Some(origin), false), Ok(()));
        assert_eq!(check(&access.clone().allow_any_origin(), host, Some(origin), false), Ok(()));
    }
    let access = access.allow_origin("https://Wallet.example.org/");
    assert_eq!(check(&access, "127.0.0.1", Some("https://wallet.example.org"), true), Ok(()));
    check(&access, "127.0.0.1", Some("https://evil.example"), true).unwrap_err();
}

#[test]
fn from_this_machine_no_name_is_taken_that_a_name_server_may_have_bent() {
    let access = WebAccess::new();
    for host in
        ["localhost:80", "LocalHost", "localhost.", "app.localhost:1", "127.0.0.1:80", "[::1]:80", "[::1]"]
    {
        assert_eq!(check(&access, host, None, true), Ok(()), "{host}");
    }
    for host in [
        "evil.example",
        "evil.example:80",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "notlocalhost",
    ] {
        let refused = check(&access, host, None, true).unwrap_err();
        assert_eq!(refused, format!("the host `{host}` is not one of this server's names"));
        // The `Origin` of the page has the rebound name, too.
        check(&access, host, Some(&format!("http://{host}")), true).unwrap_err();
        assert_eq!(check(&access, host, None, false), Ok(()), "{host} from elsewhere");
        assert_eq!(check(&access.clone().allow_any_host(), host, None, true), Ok(()));
    }
}

#[test]
fn hosts_that_are_named_are_the_only_ones() {
    let access = WebAccess::new().allow_host("Node.example.org").allow_host("other.example.org:8000");
    for host in ["node.example.org", "node.example.org:1234", "other.example.org:8000"] {
        assert_eq!(check(&access, host, None, false), Ok(()), "{host}");
        assert_eq!(check(&access, host, None, true), Ok(()), "{host}");
    }
    for host in ["example.org", "other.example.org", "other.example.org:80", "10.0.0.1"] {
        check(&access, host, None, false).unwrap_err();
    }
    assert_eq!(check(&access, "localhost", None, true), Ok(()));
}

#[test]
fn what_names_no_host_is_malformed() {
    for host in [
        "",
        "a b",
        "user@example.org",
        ":80",
        ":",
        "[::1",
        "::1",
        "localhost:65536",
        "localhost:99999",
        "localhost:x",
        "localhost:+80",
        "localhost:-1",
        "localhost:80:80",
        "localhost::",
        "127.0.0.1:99999",
        "[::1]:99999",
        "http://localhost",
        "localhost/",
        "0x7f000001",
        "127.1:80",
        "2130706433",
        "1.2.3.4.",
        "[fe80::1%25eth0]",
        "[fe80::1%252]:80",
        "[fe80::1%2]:80",
    ] {
        for access in [WebAccess::new(), WebAccess::new().allow_any_host().allow_any_origin()] {
            for origin in [None, Some("http://localhost")] {
                let denied = check_at(&access, Some(PageScheme::Http), host, origin, false).unwrap_err();
                let Denied::Malformed(reason) = denied else { panic!("{host}: {denied:?}") };
                assert!(
                    reason.starts_with(&format!("`{host}` is not what a server is called: ")),
                    "{reason}"
                );
            }
        }
    }
}

#[test]
fn a_port_may_be_empty_or_have_zeros_before_it() {
    let access = WebAccess::new();
    for (host, origin) in [
        ("localhost:", "http://localhost"),
        ("localhost:00080", "http://localhost"),
        ("localhost:65535", "http://localhost:65535"),
        ("[0:0:0:0:0:0:0:1]", "http://[::1]:80"),
    ] {
        assert_eq!(check(&access, host, Some(origin), true), Ok(()), "{host}");
    }
}

/// RFC 6454, sections 4 and 5.
#[test]
fn an_origin_is_a_scheme_and_a_host_and_a_port() {
    let (http, https) = (Some(PageScheme::Http), Some(PageScheme::Https));
    let access = WebAccess::new();
    for (own, host, origin, is_own) in [
        (http, "localhost", "http://localhost", true),
        (http, "localhost", "http://localhost:80", true),
        (http, "localhost:80", "http://localhost", true),
        (http, "LOCALHOST", "HTTP://LocalHost:80", true),
        (http, "localhost", "https://localhost", false),
        (http, "localhost", "https://localhost:80", false),
        (http, "localhost:443", "https://localhost", false),
        (http, "localhost:8545", "https://localhost:8545", false),
        (http, "localhost", "http://localhost:443", false),
        (https, "localhost", "https://localhost", true),
        (https, "localhost", "https://localhost:443", true),
        (https, "localhost:443", "https://localhost", true),
        (https, "localhost:8545", "https://localhost:8545", true),
        (https, "localhost", "http://localhost", false),
        (https, "localhost", "http://localhost:443", false),
        (https, "localhost:80", "http://localhost", false),
        (https, "localhost:8545", "http://localhost:8545", false),
        (https, "localhost", "https://localhost:80", false),
        (https, "localhost", "ws://localhost", false),
        (https, "localhost", "wss://localhost", false),
        (https, "localhost", "null", false),
        (https, "localhost", "https://localhost.", false),
        (https, "localhost", "https://localhost/", false),
        (None, "localhost", "http://localhost", true),
        (None, "localhost", "https://localhost", true),
        (None, "localhost", "ftp://localhost", false),
    ] {
        let judged = check_at(&access, own, host, Some(origin), true);
        assert_eq!(judged.is_ok(), is_own, "{own:?} {host} {origin}");
        // A proxy with TLS is equivalent to a listener with TLS.
        let behind = check_at(&access.clone().behind_tls(), own, host, Some(origin), true);
        assert_eq!(behind, check_at(&access, https, host, Some(origin), true), "{host} {origin}");
    }
}

#[test]
fn the_default_port_of_an_allowed_origin_need_not_be_written() {
    let access = WebAccess::new().allow_origin("https://a.example:443").allow_origin("http://b.example/");
    for (origin, may) in [
        ("https://a.example", true),
        ("https://A.example:443", true),
        ("http://a.example", false),
        ("http://a.example:443", false),
        ("http://b.example:80", true),
        ("https://b.example", false),
    ] {
        assert_eq!(check(&access, "node.example", Some(origin), false).is_ok(), may, "{origin}");
    }
}

#[test]
fn a_host_that_can_be_none_allows_nothing() {
    for host in ["https://node.example", "0x7f000001", "127.1", ""] {
        let access = WebAccess::new().allow_host(host);
        check(&access, "node.example", None, false).unwrap_err();
        check(&access, "127.0.0.1", None, false).unwrap_err();
    }
}

#[test]
fn two_of_one_header_are_refused() {
    let judged = |names: [(header::HeaderName, &str); 3]| {
        let mut request = http::Request::get("/");
        for (name, value) in names {
            request = request.header(name, value);
        }
        WebAccess::new().check(&request.body(()).unwrap().into_parts().0, None, || false).unwrap_err()
    };
    let twice = judged([(header::HOST, "a"), (header::ORIGIN, "http://a"), (header::ORIGIN, "http://a")]);
    assert_eq!(twice, Denied::Forbidden("there is more than one Origin header".to_owned()));
    let twice = judged([(header::HOST, "a"), (header::HOST, "a"), (header::ORIGIN, "http://a")]);
    assert_eq!(twice, Denied::Malformed("there is more than one Host header".to_owned()));
}

#[test]
fn the_target_of_a_request_may_name_the_host_and_has_to_agree_over_http_2() {
    let judged = |version, target: &str, host: Option<&str>| {
        let mut request = http::Request::get(target).version(version);
        if let Some(host) = host {
            request = request.header(header::HOST, host);
        }
        WebAccess::new().check(&request.body(()).unwrap().into_parts().0, None, || true)
    };
    let (old, one, two) = (Version::HTTP_10, Version::HTTP_11, Version::HTTP_2);
    for (version, target, host, status) in [
        (one, "http://localhost/", Some("evil.example"), 200),
        (one, "http://evil.example/", Some("localhost"), 403),
        (one, "http://localhost/", Some("localhost:99999"), 400),
        (one, "http://localhost:99999/", Some("localhost"), 400),
        (one, "http://localhost/", None, 400),
        (one, "/", None, 400),
        (old, "http://localhost/", None, 200),
        (old, "/", None, 200),
        (two, "http://localhost/", None, 200),
        (two, "http://localhost/", Some("LOCALHOST"), 200),
        (two, "http://localhost/", Some("evil.example"), 400),
        (two, "http://localhost:99999/", None, 400),
        (two, "http://evil.example/", None, 403),
    ] {
        let judged = match judged(version, target, host) {
            Ok(()) => 200,
            Err(Denied::Malformed(_)) => 400,
            Err(Denied::Forbidden(_)) => 403,
        };
        assert_eq!(judged, status, "{version:?} {target} {host:?}");
    }
}
