//! Errors whose fields are null or empty, in every form that a field may have.

use std::collections::BTreeMap;

use rpc::RpcError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Nothing;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Limit(pub(super) Option<u32>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Transparent {
    pub(super) what: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Plain {
    pub(super) what: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Sparse {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) what: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) list: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next: T,
}

#[derive(Debug, Clone, PartialEq, thiserror::Error, RpcError)]
pub(super) enum Missing {
    #[error("named")]
    #[rpc(code = 1)]
    Named { what: Option<u32> },
    #[error("value")]
    #[rpc(code = 2)]
    Value(Option<u32>),
    #[error("unit")]
    #[rpc(code = 3)]
    Unit(()),
    #[error("unit struct")]
    #[rpc(code = 4)]
    UnitStruct(Nothing),
    #[error("json")]
    #[rpc(code = 5)]
    Json(Value),
    #[error("option of a box")]
    #[rpc(code = 6)]
    OptionOfBox(Option<Box<u32>>),
    #[error("box of an option")]
    #[rpc(code = 7)]
    BoxOfOption(Box<Option<u32>>),
    #[error("newtype")]
    #[rpc(code = 8)]
    Newtype(Limit),
    #[error("transparent")]
    #[rpc(code = 9)]
    Transparent(Transparent),
    #[error("plain")]
    #[rpc(code = 10)]
    Plain(Plain),
    #[error("sparse")]
    #[rpc(code = 11)]
    Sparse(Sparse),
    #[error("generic")]
    #[rpc(code = 12)]
    Generic(Page<Option<u32>>),
    #[error("pair")]
    #[rpc(code = 13)]
    Pair(Option<u32>, ()),
    #[error("many")]
    #[rpc(code = 14)]
    Many { a: Option<u32>, b: (), c: Value, d: Limit, e: Nothing, f: Sparse },
    #[error("bare")]
    #[rpc(code = 15)]
    Bare,
    #[error("no fields")]
    #[rpc(code = 16)]
    NoFields(),
    #[error("no members")]
    #[rpc(code = 17)]
    NoMembers {},
    #[error("{0}")]
    #[rpc(code = 18)]
    Text(String),
    #[error("list")]
    #[rpc(code = 19)]
    List(Vec<Option<u32>>),
    #[error("map")]
    #[rpc(code = 20)]
    Map(BTreeMap<String, Option<u32>>),
    #[error("tuple of one")]
    #[rpc(code = 21)]
    TupleOfOne((Option<u32>,)),
}

/// Each error, and its `data` where there is any.
pub(super) fn all() -> Vec<(Missing, Option<Value>)> {
    let sparse = || Sparse { what: None, list: vec![] };
    vec![
        (Missing::Named { what: None }, Some(json!({"what": null}))),
        (Missing::Named { what: Some(0) }, Some(json!({"what": 0}))),
        (Missing::Value(None), Some(Value::Null)),
        (Missing::Value(Some(0)), Some(json!(0))),
        (Missing::Unit(()), Some(Value::Null)),
        (Missing::UnitStruct(Nothing), Some(Value::Null)),
        (Missing::Json(Value::Null), Some(Value::Null)),
        (Missing::Json(json!({})), Some(json!({}))),
        (Missing::Json(json!("")), Some(json!(""))),
        (Missing::OptionOfBox(None), Some(Value::Null)),
        (Missing::OptionOfBox(Some(Box::new(0))), Some(json!(0))),
        (Missing::BoxOfOption(Box::new(None)), Some(Value::Null)),
        (Missing::Newtype(Limit(None)), Some(Value::Null)),
        (Missing::Transparent(Transparent { what: None }), Some(Value::Null)),
        (Missing::Plain(Plain { what: None }), Some(json!({"what": null}))),
        (Missing::Sparse(sparse()), Some(json!({}))),
        (Missing::Generic(Page { items: vec![], next: None }), Some(json!({"items": [], "next": null}))),
        (Missing::Pair(None, ()), Some(json!([null, null]))),
        (
            Missing::Many { a: None, b: (), c: Value::Null, d: Limit(None), e: Nothing, f: sparse() },
            Some(json!({"a": null, "b": null, "c": null, "d": null, "e": null, "f": {}})),
        ),
        (Missing::Bare, None),
        (Missing::NoFields(), None),
        (Missing::NoMembers {}, None),
        (Missing::Text(String::new()), Some(json!(""))),
        (Missing::List(vec![]), Some(json!([]))),
        (Missing::List(vec![None]), Some(json!([null]))),
        (Missing::Map(BTreeMap::new()), Some(json!({}))),
        (Missing::TupleOfOne((None,)), Some(json!([null]))),
    ]
}
