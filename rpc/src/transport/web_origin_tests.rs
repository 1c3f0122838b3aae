use super::*;

/// The judgement on a request to `host` by a page of `origin`.
fn judge(origins: &WebOrigins, on_loopback: bool, host: &str, origin: &str) -> Result<(), String> {
    let mut headers = HeaderMap::new();
    for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
        if !value.is_empty() {
            headers.insert(name, value.parse().expect("a header's value"));
        }
    }
    origins.check(&Uri::from_static("/"), &headers, on_loopback).map_err(|stranger| stranger.to_string())
}

const LOOPBACK: bool = true;
const ELSEWHERE: bool = false;

#[test]
fn without_further_ado_only_pages_from_here_may_call() {
    let origins = WebOrigins::new();
    for (on_loopback, host, origin) in [
        // Programs have no origin.
        (LOOPBACK, "127.0.0.1:8545", ""),
        (LOOPBACK, "[::1]:8545", ""),
        (LOOPBACK, "localhost", ""),
        (LOOPBACK, "LocalHost.:8545", ""),
        (LOOPBACK, "app.localhost:8545", ""),
        (LOOPBACK, "", ""),
        (ELSEWHERE, "node.example.org", ""),
        (ELSEWHERE, "192.168.1.7:8545", ""),
        // A page that was served from here.
        (LOOPBACK, "localhost:8545", "http://localhost:8545"),
        (LOOPBACK, "127.0.0.1:8545", "http://127.0.0.1:8545"),
        (ELSEWHERE, "192.168.1.7", "https://192.168.1.7"),
    ] {
        assert_eq!(judge(&origins, on_loopback, host, origin), Ok(()), "{host} from {origin}");
    }
    for (on_loopback, host, origin, stranger) in [
        // A name that was made to lead here.
        (LOOPBACK, "evil.example:8545", "http://evil.example:8545", "host `evil.example:8545`"),
        (LOOPBACK, "evil.example:8545", "", "host `evil.example:8545`"),
        (LOOPBACK, "localhost.evil.example", "", "host `localhost.evil.example`"),
        (LOOPBACK, "127.0.0.1.evil.example", "", "host"),
        (LOOPBACK, "192.168.1.7", "", "host `192.168.1.7`"),
        (LOOPBACK, "localhost@evil.example", "", "host"),
        (LOOPBACK, "not a host", "", "host `not a host`"),
        (ELSEWHERE, "evil.example", "http://evil.example", "host `evil.example`"),
        // A page of another origin.
        (LOOPBACK, "127.0.0.1:8545", "http://evil.example", "origin `http://evil.example`"),
        (LOOPBACK, "127.0.0.1:8545", "http://127.0.0.1:3000", "origin `http://127.0.0.1:3000`"),
        (LOOPBACK, "127.0.0.1:8545", "null", "origin `null`"),
        (LOOPBACK, "", "http://localhost", "origin `http://localhost`"),
        (ELSEWHERE, "192.168.1.7", "https://evil.example", "origin `https://evil.example`"),
    ] {
        let refused = judge(&origins, on_loopback, host, origin).expect_err("a stranger");
        assert!(refused.contains(stranger), "{host} from {origin}: {refused}");
    }
}

#[test]
fn what_is_allowed_by_name_may_call() {
    let origins = WebOrigins::new().allow_origin("https://app.example.org/").allow_host("node.example.org");
    let allowed = |host, origin| judge(&origins, ELSEWHERE, host, origin);
    assert_eq!(allowed("node.example.org", "https://app.example.org"), Ok(()));
    assert_eq!(allowed("Node.Example.org:8545", "HTTPS://APP.example.org"), Ok(()));
    assert_eq!(allowed("node.example.org", "https://node.example.org"), Ok(()));
    assert_eq!(allowed("127.0.0.1:8545", ""), Ok(()));
    assert_eq!(judge(&origins, LOOPBACK, "node.example.org", ""), Ok(()));
    // Where a host is allowed, others are not.
    assert!(allowed("other.example.org", "").is_err());
    assert!(allowed("node.example.org", "https://app.example.org:8443").is_err());
    assert!(allowed("node.example.org", "http://app.example.org").is_err());

    let with_port = WebOrigins::new().allow_host("node.example.org:8545");
    assert_eq!(judge(&with_port, ELSEWHERE, "node.example.org:8545", ""), Ok(()));
    assert!(judge(&with_port, ELSEWHERE, "node.example.org:80", "").is_err());
}

#[test]
fn an_allowed_page_need_not_know_the_host_by_an_allowed_name_elsewhere_than_on_loopback() {
    let origins = WebOrigins::new().allow_origin("https://app.example.org");
    assert_eq!(judge(&origins, ELSEWHERE, "node.example.org", "https://app.example.org"), Ok(()));
    assert!(judge(&origins, LOOPBACK, "node.example.org", "https://app.example.org").is_err());
}

#[test]
fn anybody_may_be_allowed() {
    for (host, origin) in
        [("evil.example", "http://evil.example"), ("evil.example", "null"), ("127.0.0.1", "http://x")]
    {
        assert_eq!(judge(&WebOrigins::any(), LOOPBACK, host, origin), Ok(()));
    }
    let any_origin = WebOrigins::new().allow_any_origin();
    assert_eq!(judge(&any_origin, LOOPBACK, "127.0.0.1", "http://evil.example"), Ok(()));
    assert!(judge(&any_origin, LOOPBACK, "evil.example", "http://evil.example").is_err());
    let any_host = WebOrigins::new().allow_any_host();
    assert_eq!(judge(&any_host, LOOPBACK, "evil.example", "http://evil.example"), Ok(()));
    assert!(judge(&any_host, LOOPBACK, "evil.example", "http://worse.example").is_err());
}

#[test]
fn every_name_that_a_request_gives_is_judged() {
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, "localhost".parse().expect("a host"));
    let check = |target: &'static str, headers: &HeaderMap| {
        WebOrigins::new().check(&Uri::from_static(target), headers, LOOPBACK).is_ok()
    };
    assert!(check("http://127.0.0.1/", &headers));
    assert!(!check("http://evil.example/", &headers));
    headers.append(header::HOST, "evil.example".parse().expect("a host"));
    assert!(!check("/", &headers));
    headers.remove(header::HOST);
    headers.insert(header::ORIGIN, "http://localhost".parse().expect("an origin"));
    headers.append(header::ORIGIN, "http://evil.example".parse().expect("an origin"));
    assert!(!check("http://localhost/", &headers));
}
