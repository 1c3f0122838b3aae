//! What of a message does not depend on the link that it is sent by.

use crate::jsonrpc::version;

/// The method and the parameters of a message, written and not yet sent.
///
/// They are written apart from the rest so that whoever sends can do it before taking a lock, and without knowing the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body<'a> {
    text: &'a [u8],
    named: bool,
}

impl<'a> Body<'a> {
    /// Appends both to `out`, as members of a message.
    ///
    /// # Errors
    ///
    /// Those of `params`, which appends the JSON text of an array or an object.
    pub fn write<E>(
        out: &'a mut Vec<u8>,
        method: &str,
        params: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Self, E> {
        let start = out.len();
        let params = Self::append(out, method, params)?;
        Ok(Self::written(&out[start..], params - start))
    }

    /// What [`write`](Self::write) does, for those who keep the text: gives the place in it where the parameters stand.
    pub(crate) fn append<E>(
        out: &mut Vec<u8>,
        method: &str,
        params: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<usize, E> {
        out.extend_from_slice(br#""method":"#);
        version::put(out, method);
        out.extend_from_slice(br#","params":"#);
        let start = out.len();
        params(out)?;
        Ok(start)
    }

    /// What was written before, with its parameters from `params` on.
    pub(crate) fn written(text: &'a [u8], params: usize) -> Self {
        Self { text, named: text.get(params) == Some(&b'{') }
    }

    /// Whether the parameters are an object.
    pub const fn has_named_params(&self) -> bool {
        self.named
    }

    pub(super) const fn text(&self) -> &'a [u8] {
        self.text
    }
}
