//! Valid and invalid URLs of proxies.

use super::*;

#[test]
fn the_parts_are_what_the_url_says() {
    for (url, shown) in [
        ("socks5://127.0.0.1:9050", "socks5://127.0.0.1:9050"),
        ("socks5h://proxy.example.org", "socks5://proxy.example.org:1080"),
        ("socks4a://[::1]:1", "socks4a://[::1]:1"),
        ("socks4://[::1]", "socks4://[::1]:1080"),
        ("socks5://ann:secret@localhost:80/", "socks5://localhost:80"),
    ] {
        assert_eq!(SocksProxy::new(url).unwrap().to_string(), shown);
    }
}

#[test]
fn credentials_may_be_written_with_percent_signs() {
    for (url, user, password) in [
        ("socks5://ann:secret@h", "ann", "secret"),
        ("socks5://a%40b:%25%3a@h", "a@b", "%:"),
        ("socks5://ann:with:colon@h", "ann", "with:colon"),
        ("socks5://ann:with@at@h", "ann", "with@at"),
        ("socks5://%C3%A4:@h", "ä", ""),
        ("socks4://ann@h", "ann", ""),
    ] {
        let proxy = SocksProxy::new(url).unwrap();
        let Credentials::Given(pair) = proxy.configured_credentials() else {
            panic!("{url}: no credentials")
        };
        assert_eq!((&*pair.user, &*pair.password), (user, password), "{url}");
    }
    assert_eq!(*SocksProxy::new("socks5://h").unwrap().configured_credentials(), Credentials::None);
}

#[test]
fn the_error_names_the_part_that_is_wrong_and_never_the_password() {
    for (url, reason) in [
        ("127.0.0.1:9050", "the scheme is missing"),
        ("ann:secret@h:1", "the scheme is missing"),
        ("http://ann:secret@h:1", "the scheme is unknown"),
        ("ann:secret@socks5://h:1", "the scheme is unknown"),
        ("socks5://ann:secret@h:x", "the port `x` is no number"),
        ("socks5://ann:secret@", "the host is missing"),
        ("socks5://ann:secret@0x7f000001", "`0x7f000001` is no IPv4 address"),
        ("socks4a://127.1:9050", "`127.1` is no IPv4 address"),
        ("socks5://ann:secret@[::1", "the bracket of the IPv6 address is not closed"),
        ("socks5://ann:secret@::1", "stands in brackets"),
        ("socks5://ann:secret@h:1/secret", "a proxy has no path"),
        ("socks5://ann:secret@h:1?secret", "a proxy has no path"),
        ("socks5://h/secret", "a proxy has no path"),
        ("socks5://ann:sec/secret@h:x", "the port `x` is no number"),
        ("socks4://ann:secret@h", "version 4 has no password: write socks4://USER@HOST:PORT"),
        ("socks5://secret@h", "the password is missing"),
        ("socks5://secret%4:x@h", "in the user, % is not followed by two hexadecimal digits"),
        ("socks5://ann:secret%+1@h", "in the password, % is not followed by two hexadecimal digits"),
        ("socks5://ann:secret%FF@h", "in the password, % is not followed by two hexadecimal digits of UTF-8"),
    ] {
        let error = SocksProxy::new(url).unwrap_err();
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(text.contains(reason), "{url}: {text}");
            assert!(!text.contains("secret"), "{url}: {text}");
        }
    }
}
