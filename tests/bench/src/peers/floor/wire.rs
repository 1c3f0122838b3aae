//! Messages. What both sides write is scanned for; whatever looks different is read by serde.

use std::borrow::Cow;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

const HEAD: &[u8] = br#"{"jsonrpc":"2.0","id":"#;

pub struct Request<'a> {
    pub id: u64,
    pub method: Cow<'a, str>,
    pub params: &'a [u8],
}

pub struct Response<'a> {
    pub id: u64,
    /// The text of the result, or that of the error.
    pub outcome: Result<&'a [u8], String>,
}

/// Takes whatever stands where params should for params: decoding them finds out, and then [`Request::read`] is the judge.
pub fn scan_request(line: &[u8]) -> Option<Request<'_>> {
    let (id, rest) = number(line.strip_prefix(HEAD)?)?;
    let rest = rest.strip_prefix(br#","method":""#)?;
    let end = memchr::memchr2(b'"', b'\\', rest)?;
    let params = rest[end..].strip_prefix(br#"","params":"#)?.strip_suffix(b"}")?;
    Some(Request { id, method: std::str::from_utf8(&rest[..end]).ok()?.into(), params })
}

pub fn scan_response(line: &[u8]) -> Option<Response<'_>> {
    let (id, rest) = number(line.strip_prefix(HEAD)?)?;
    let result = rest.strip_prefix(br#","result":"#)?.strip_suffix(b"}")?;
    Some(Response { id, outcome: Ok(result) })
}

fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let value = text[..digits].iter().fold(0u64, |value, byte| value * 10 + u64::from(byte - b'0'));
    (1..=19).contains(&digits).then_some((value, &text[digits..]))
}

impl<'a> Request<'a> {
    pub fn read(line: &'a [u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Members<'a> {
            id: u64,
            #[serde(borrow)]
            method: Cow<'a, str>,
            #[serde(borrow)]
            params: Option<&'a RawValue>,
        }
        let Members { id, method, params } = serde_json::from_slice(line)?;
        Ok(Self { id, method, params: params.map_or(b"[]", |params| params.get().as_bytes()) })
    }
}

impl<'a> Response<'a> {
    pub fn read(line: &'a [u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Members<'a> {
            id: Option<u64>,
            #[serde(borrow)]
            result: Option<&'a RawValue>,
            #[serde(borrow)]
            error: Option<&'a RawValue>,
        }
        let Members { id, result, error } = serde_json::from_slice(line)?;
        let outcome = match (result, error) {
            (Some(result), None) => Ok(result.get().as_bytes()),
            (None, Some(error)) => Err(error.get().to_owned()),
            _ => bail!("neither a result nor an error"),
        };
        Ok(Self { id: id.context("an answer to nothing")?, outcome })
    }
}

/// `params` is JSON.
pub fn put_request(out: &mut Vec<u8>, id: u64, method: &str, params: &[u8]) {
    out.extend_from_slice(HEAD);
    put(out, &id);
    out.extend_from_slice(br#","method":""#);
    out.extend_from_slice(method.as_bytes());
    out.extend_from_slice(br#"","params":"#);
    out.extend_from_slice(params);
    out.extend_from_slice(b"}\n");
}

pub fn put_result(out: &mut Vec<u8>, id: u64, result: &impl Serialize) {
    out.extend_from_slice(HEAD);
    put(out, &id);
    out.extend_from_slice(br#","result":"#);
    put(out, result);
    out.extend_from_slice(b"}\n");
}

const ITEM: &[u8] = br#"{"jsonrpc":"2.0","method":"quote","params":{"subscription":"#;

/// `item` is JSON.
pub fn put_item(out: &mut Vec<u8>, subscription: u64, item: &[u8]) {
    out.extend_from_slice(ITEM);
    put(out, &subscription);
    out.extend_from_slice(br#","result":"#);
    out.extend_from_slice(item);
    out.extend_from_slice(b"}}\n");
}

/// The item of a notification. A connection has one subscription, so whose it is need not be asked.
pub fn scan_item(line: &[u8]) -> Option<&[u8]> {
    let (_, rest) = number(line.strip_prefix(ITEM)?)?;
    rest.strip_prefix(br#","result":"#)?.strip_suffix(b"}}")
}

pub fn put_error(out: &mut Vec<u8>, id: Option<u64>, code: i32, message: &str) {
    out.extend_from_slice(HEAD);
    put(out, &id);
    out.extend_from_slice(br#","error":"#);
    put(out, &serde_json::json!({"code": code, "message": message}));
    out.extend_from_slice(b"}\n");
}

pub fn put(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("memory takes everything");
}
