use super::*;

fn check(access: &WebAccess, host: &str, origin: Option<&str>, is_local: bool) -> Result<(), String> {
    let mut headers = HeaderMap::new();
    if let Some(origin) = origin {
        headers.insert(header::ORIGIN, origin.parse().unwrap());
    }
    access.check(Some(host), &headers, is_local)
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
        // The page's own origin is the bent name then.
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
fn what_names_no_host_is_refused() {
    for host in ["", "a b", "user@example.org", ":80", "[::1", "::1"] {
        check(&WebAccess::new(), host, None, false).unwrap_err();
    }
}

#[test]
fn two_of_one_header_are_refused() {
    let mut headers = HeaderMap::new();
    headers.append(header::ORIGIN, HeaderValue::from_static("http://a"));
    headers.append(header::ORIGIN, HeaderValue::from_static("http://b"));
    headers.append(header::HOST, HeaderValue::from_static("a"));
    WebAccess::new().check(Some("a"), &headers, false).unwrap_err();
    assert_eq!(host_of(None, &headers), Ok(Some("a")));
    assert_eq!(host_of(Some("b"), &headers), Ok(Some("b")));
    headers.append(header::HOST, HeaderValue::from_static("b"));
    host_of(None, &headers).unwrap_err();
}
