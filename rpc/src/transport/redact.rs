//! Redaction of URLs in errors, logs and `Debug` output: only scheme, host and port are shown. A
//! path or a query often holds a key (`wss://node.example/v1/KEY`, `?token=`), and user information
//! is a password. Secrets of a request that a server repeats in its response are hidden, too.

#[cfg(any(feature = "http", feature = "ws"))]
use http::{HeaderMap, HeaderName, header};

/// The placeholder for hidden text.
pub(crate) const HIDDEN: &str = "…";

/// Redacts a text that may be a URL, such as invalid input or one from a server: a possible
/// password, path or query is hidden.
pub(crate) fn shown(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, text),
    };
    // An endpoint on this machine.
    let is_local =
        |prefix: &str| text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if ["unix:", "stdio:", "memory:"].into_iter().any(is_local) {
        return text.to_owned();
    }
    let scheme = match scheme {
        Some(scheme) if is_scheme(scheme) => format!("{scheme}://"),
        Some(_) => format!("{HIDDEN}://"),
        None => String::new(),
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // A password may contain a slash, and then the start of the host is ambiguous.
    let authority = match authority.rsplit_once('@') {
        _ if path.contains('@') => HIDDEN.to_owned(),
        Some((_, host)) => format!("{HIDDEN}@{host}"),
        None => authority.to_owned(),
    };
    let more = if matches!(path, "" | "/") { path } else { "/…" };
    format!("{scheme}{authority}{more}")
}

/// Scheme syntax of RFC 3986, section 3.1.
pub(super) fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'.'))
}

/// Shorter texts are not secrets, and occur everywhere. The second limit is for the start of a
/// truncated secret.
#[cfg(any(feature = "http", feature = "ws"))]
const SHORTEST: usize = 4;
#[cfg(any(feature = "http", feature = "ws"))]
const SHORTEST_BEGINNING: usize = 8;

/// Headers that name the server and the page.
#[cfg(any(feature = "http", feature = "ws"))]
const NO_SECRETS: [HeaderName; 2] = [header::HOST, header::ORIGIN];

/// Possible secrets of a request: its URL after the host, and the headers set by the user. Longest
/// first.
#[cfg(any(feature = "http", feature = "ws"))]
pub(crate) struct Secrets(Vec<String>);

#[cfg(any(feature = "http", feature = "ws"))]
impl Secrets {
    /// Secrets of a request for `target`, a path with its query: the headers that the user has set,
    /// which are marked as sensitive, and the offered sub-protocols.
    pub(crate) fn of(target: &str, headers: &HeaderMap, protocols: &[String]) -> Self {
        let mut secrets = vec![target.to_owned()];
        secrets.extend(target.split('?').map(str::to_owned));
        secrets.extend(target.split(['/', '?', '&', '=']).map(str::to_owned));
        for (name, value) in headers {
            if value.is_sensitive() && !NO_SECRETS.contains(name) {
                let value = String::from_utf8_lossy(value.as_bytes());
                secrets.extend(value.split([' ', ',', ';', '=']).map(str::to_owned));
                secrets.push(value.into_owned());
            }
        }
        secrets.extend_from_slice(protocols);
        let decoded: Vec<String> = secrets.iter().filter_map(|secret| percent_decoded(secret)).collect();
        secrets.extend(decoded);
        secrets.retain(|secret| secret.len() >= SHORTEST);
        secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    /// Hides the secrets in `text`, and the start of one at its end, where it may be truncated.
    pub(crate) fn hide(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.0 {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), HIDDEN);
            }
        }
        let cut = self.0.iter().filter_map(|secret| {
            let beginnings = secret.char_indices().map(|(end, _)| &secret[..end]);
            beginnings
                .rev()
                .find(|start| start.len() >= SHORTEST_BEGINNING && text.ends_with(start))
                .map(str::len)
        });
        if let Some(cut) = cut.max() {
            text.truncate(text.len() - cut);
            text.push_str(HIDDEN);
        }
        text
    }
}

/// `None` if nothing is percent-encoded.
#[cfg(any(feature = "http", feature = "ws"))]
fn percent_decoded(text: &str) -> Option<String> {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    let before = bytes.len();
    for piece in pieces {
        match piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend_from_slice(&piece.as_bytes()[2..]);
            }
            None => {
                bytes.push(b'%');
                bytes.extend_from_slice(piece.as_bytes());
            }
        }
    }
    (bytes.len() > before).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_could_be_a_secret_is_shown() {
        for (text, seen) in [
            ("wss://node.example:1/v1/secret?key=secret#secret", "wss://node.example:1/…"),
            ("wss://node.example?secret", "wss://node.example/…"),
            ("wss://node.example#secret", "wss://node.example/…"),
            ("wss://node.example/", "wss://node.example/"),
            ("https://secret:secret@node.example/secret", "https://…@node.example/…"),
            ("https://secret@sec@node.example:99999", "https://…@node.example:99999"),
            ("https://ann:sec/ret@node.example/", "https://…/…"),
            ("https://node.example/secret@secret", "https://…/…"),
            ("ann:secret@node.example:80", "…@node.example:80"),
            ("node.example/secret", "node.example/…"),
            ("/secret?secret", "/…"),
            ("ann:secret@wss://node.example/secret", "…://node.example/…"),
            ("gopher://node.example/secret", "gopher://node.example/…"),
            ("unix:@name", "unix:@name"),
            ("unix:///run/a@b", "unix:///run/a@b"),
            ("localhost:80", "localhost:80"),
            ("", ""),
        ] {
            assert_eq!(shown(text), seen);
        }
    }

    #[test]
    #[cfg(any(feature = "http", feature = "ws"))]
    fn what_a_server_repeats_of_a_request_is_hidden() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (header::AUTHORIZATION, "Bearer t0ken"),
            (header::HOST, "node.example"),
            (header::COOKIE, "id=c00kie; a=b"),
        ] {
            let mut value = http::HeaderValue::from_static(value);
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        headers.insert(header::ACCEPT, http::HeaderValue::from_static("application/json"));
        let secrets = Secrets::of("/v1/s3cret?key=k%20ey5", &headers, &["offered".to_owned()]);
        for (text, seen) in [
            ("nothing is at /v1/s3cret?key=k%20ey5", "nothing is at …"),
            ("nothing is at /v1/s3cret", "nothing is at …"),
            ("who is s3cret, k ey5 or k%20ey5?", "who is …, … or …?"),
            ("Bearer t0ken is not t0ken", "… is not …"),
            ("id=c00kie; a=b, c00kie", "…, …"),
            ("it was offered", "it was …"),
            ("v1 of node.example has key", "v1 of node.example has key"),
            ("it is cut off at /v1/s3cr", "it is cut off at …"),
            ("not application/json", "not application/json"),
            ("", ""),
        ] {
            assert_eq!(secrets.hide(text), seen);
        }
    }
}
