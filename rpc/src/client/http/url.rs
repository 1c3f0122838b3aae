//! Where the server is.

use http::Uri;

use super::HttpClientError;

/// An `http://` or `https://` URL, taken apart.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// What is asked for.
    pub(super) uri: Uri,
    /// Scheme, host and port: all of it that is ever shown.
    pub(super) shown: String,
    /// The host, an IPv6 address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
}

impl Target {
    pub(super) fn parse(text: &str) -> Result<Self, HttpClientError> {
        let refused = |reason: String| {
            let url = without_credentials(text);
            Err(HttpClientError::Url { url, reason })
        };
        let Ok(uri) = text.parse::<Uri>() else {
            return refused("it cannot be read: write http://HOST:PORT/PATH".to_owned());
        };
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return refused("the scheme is missing: write http://HOST:PORT/PATH".to_owned());
        };
        let tls = match scheme {
            "http" => false,
            "https" => true,
            other => return refused(format!("unknown scheme `{other}`: http and https are known")),
        };
        if authority.as_str().contains('@') {
            return refused(
                "it holds credentials, and URLs are logged: give them to `basic_auth`".to_owned(),
            );
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return refused("the host is missing".to_owned());
        }
        let port = match (&authority.as_str()[authority.host().len()..], authority.port_u16()) {
            ("", _) => {
                if tls {
                    443
                } else {
                    80
                }
            }
            (_, Some(port)) => port,
            (_, None) => return refused("the port is no number between 0 and 65535".to_owned()),
        };
        let shown = format!("{scheme}://{authority}");
        Ok(Self { shown, host, port, tls, uri })
    }
}

/// The URL, as it may be shown: without anything that may have been meant as credentials.
fn without_credentials(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    match rest.rsplit_once('@') {
        Some((_, server)) if scheme.is_empty() => format!("\u{2026}@{server}"),
        Some((_, server)) => format!("{scheme}://\u{2026}@{server}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_are_left_out_have_the_defaults_of_http() {
        for (url, shown, host, port, tls, path) in [
            ("http://localhost", "http://localhost", "localhost", 80, false, "/"),
            ("https://h.example/v3/key?a=b", "https://h.example", "h.example", 443, true, "/v3/key?a=b"),
            (
                "http://127.0.0.1:8332/wallet/x",
                "http://127.0.0.1:8332",
                "127.0.0.1",
                8332,
                false,
                "/wallet/x",
            ),
            ("http://[::1]:80", "http://[::1]:80", "::1", 80, false, "/"),
            ("https://[::1]/@", "https://[::1]", "::1", 443, true, "/@"),
        ] {
            let target = Target::parse(url).unwrap();
            let Target { shown: is_shown, host: is_host, port: is_port, tls: is_tls, uri } = target;
            let path_and_query = uri.path_and_query().unwrap().as_str();
            assert_eq!(
                (is_shown.as_str(), is_host.as_str(), is_port, is_tls, path_and_query),
                (shown, host, port, tls, path)
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said_and_no_credentials_with_it() {
        for (url, error) in [
            (
                "127.0.0.1:80",
                "`127.0.0.1:80` is no URL of an HTTP server: the scheme is missing: write http://HOST:PORT/PATH",
            ),
            (
                "ftp://h",
                "`ftp://h` is no URL of an HTTP server: unknown scheme `ftp`: http and https are known",
            ),
            (
                "http://",
                "`http://` is no URL of an HTTP server: it cannot be read: write http://HOST:PORT/PATH",
            ),
            (
                "http://h:99999",
                "`http://h:99999` is no URL of an HTTP server: the port is no number between 0 and 65535",
            ),
            (
                "http://ann:secret@h:1/p",
                "`http://\u{2026}@h:1/p` is no URL of an HTTP server: it holds credentials, and URLs are logged: give them to `basic_auth`",
            ),
        ] {
            assert_eq!(Target::parse(url).unwrap_err().to_string(), error);
        }
        for url in [
            "http://ann:sec/ret@h",
            "http://ann:secret@",
            "ann:secret@h",
            "http://a b:secret@h",
            "http://ann:secret@[h",
        ] {
            let error = Target::parse(url).unwrap_err().to_string();
            assert!(!error.contains("sec"), "{error}");
        }
    }
}
