//! Which protocols are offered (ALPN, RFC 7301), where a configuration says some and what is spoken
//! others.

use super::TlsError;

/// The versions of HTTP, by their names at IANA: those that are not spoken cannot be agreed on.
const HTTP: [&[u8]; 5] = [b"h3", b"h2", b"http/1.1", b"http/1.0", b"http/0.9"];

/// What is offered, best first. `named` are the protocols of a configuration, which are kept, in
/// their order, without the versions of HTTP that are not `spoken`. Where it names none, or nothing
/// is said to be spoken, it is what the other one has.
///
/// # Errors
///
/// Where the configuration leaves nothing of what is spoken.
pub(super) fn offered(named: &[Vec<u8>], spoken: &[&[u8]]) -> Result<Vec<Vec<u8>>, TlsError> {
    if spoken.is_empty() {
        return Ok(named.to_vec());
    }
    if named.is_empty() {
        return Ok(spoken.iter().map(|protocol| protocol.to_vec()).collect());
    }
    let is_spoken = |protocol: &[u8]| spoken.contains(&protocol);
    if !named.iter().any(|protocol| is_spoken(protocol)) {
        return Err(TlsError::NoProtocol {
            named: list(named.iter().map(Vec::as_slice)),
            spoken: list(spoken.iter().copied()),
        });
    }
    let may_be_agreed_on = |protocol: &&Vec<u8>| is_spoken(protocol) || !HTTP.contains(&protocol.as_slice());
    Ok(named.iter().filter(may_be_agreed_on).cloned().collect())
}

fn list<'a>(protocols: impl Iterator<Item = &'a [u8]>) -> String {
    protocols.map(|protocol| protocol.escape_ascii().to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_configuration_names_is_kept_as_far_as_it_is_spoken() {
        for (named, spoken, expected) in [
            (&[][..], &["h2", "http/1.1"][..], Some(&["h2", "http/1.1"][..])),
            (&["http/1.1"], &["h2", "http/1.1"], Some(&["http/1.1"])),
            (&["http/1.1", "h2"], &["h2", "http/1.1"], Some(&["http/1.1", "h2"])),
            (&["h2", "http/1.1"], &["http/1.1"], Some(&["http/1.1"])),
            (&["acme-tls/1", "h2", "http/1.1"], &["http/1.1"], Some(&["acme-tls/1", "http/1.1"])),
            (&["jsonrpc"], &[], Some(&["jsonrpc"])),
            (&["h2"], &["http/1.1"], None),
            (&["jsonrpc"], &["h2", "http/1.1"], None),
        ] {
            let bytes =
                |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>();
            let spoken: Vec<&[u8]> = spoken.iter().map(|name| name.as_bytes()).collect();
            assert_eq!(offered(&bytes(named), &spoken).ok(), expected.map(bytes), "{named:?} {spoken:?}");
        }
    }
}
