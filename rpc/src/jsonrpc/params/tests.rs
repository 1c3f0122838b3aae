use std::collections::BTreeMap;

use super::*;
use crate::jsonrpc::ErrorCode;

const ADD: MethodInfo =
    MethodInfo::request("calc.add").with_params(&[ParamInfo::new("a"), ParamInfo::new("b")]);

fn add(params: &str) -> Result<(i64, i64), String> {
    decode(&ADD, RawParams::from_json(params).into()).map_err(|e| {
        assert_eq!(e.code(), ErrorCode::INVALID_PARAMS);
        e.message().to_owned()
    })
}

#[test]
fn by_position_and_by_name_in_any_order() {
    assert_eq!(add("[1,2]"), Ok((1, 2)));
    assert_eq!(add(" [ 1 , 2 ] "), Ok((1, 2)));
    assert_eq!(add(r#"{"a":1,"b":2}"#), Ok((1, 2)));
    assert_eq!(add(r#"{"b":2,"\u0061":1}"#), Ok((1, 2)));
}

#[test]
fn what_is_wrong_is_said() {
    for (params, message) in [
        ("[1]", "too few: it takes 2 parameters, got 1; `b` is missing"),
        ("null", "too few: it takes 2 parameters, got 0; `a` is missing"),
        ("[1,2,3]", "too many: it takes 2 parameters, got 3"),
        (r#"[1,"x"]"#, "parameter 2 (`b`): invalid type: string \"x\", expected i64"),
        (r#"{"a":1}"#, "`b` is missing"),
        (r#"{"a":1,"b":2,"c":3}"#, "unknown parameter `c`: it takes `a`, `b`"),
        (r#"{"a":1,"b":2,"a":3}"#, "`a` is given twice"),
        (r#"{"a":1.5,"b":2}"#, "parameter 1 (`a`): invalid type: floating point `1.5`, expected i64"),
    ] {
        assert_eq!(add(params), Err(format!("invalid params for `calc.add`: {message}")), "{params}");
    }
}

#[test]
fn no_parameters_are_absent_null_or_empty() {
    const PING: MethodInfo = MethodInfo::request("ping");
    for params in [
        RawParams::NONE,
        RawParams::from_json("null"),
        RawParams::from_json("[]"),
        RawParams::from_json("{}"),
    ] {
        decode::<()>(&PING, params.into()).unwrap();
    }
    let error = decode::<()>(&PING, RawParams::from_json("[1]").into()).unwrap_err();
    assert_eq!(error.message(), "invalid params for `ping`: too many: it takes no parameters, got 1");
}

#[test]
fn an_option_may_be_missing_or_null() {
    const FIND: MethodInfo =
        MethodInfo::request("find").with_params(&[ParamInfo::new("what"), ParamInfo::new("limit")]);
    for params in [r#"["x"]"#, r#"["x",null]"#, r#"{"what":"x"}"#, r#"{"what":"x","limit":null}"#] {
        let found: (String, Option<u32>) = decode(&FIND, RawParams::from_json(params).into()).unwrap();
        assert_eq!(found, ("x".to_owned(), None), "{params}");
    }
}

#[test]
fn unknown_members_pass_where_they_are_allowed_and_by_name_only() {
    let add = |unknown, params| said::<(i64, i64)>(&ADD.with_unknown_params(unknown), params);
    let meta = UnknownParams::AllowNamed(&["_meta"]);
    for unknown in [UnknownParams::Allow, meta] {
        assert_eq!(add(unknown, r#"{"a":1,"_meta":{"x":[]},"b":2}"#), Ok((1, 2)));
        assert_eq!(add(unknown, "[1,2]"), Ok((1, 2)));
        for (params, why) in [
            ("[1,2,3]", "too many: it takes 2 parameters, got 3"),
            (r#"{"_meta":1,"a":1}"#, "`b` is missing"),
            (r#"{"a":1,"b":2,"_meta":1,"_meta":2}"#, "`_meta` is given twice"),
        ] {
            assert_eq!(add(unknown, params), Err(why.to_owned()), "{params}");
        }
    }
    let other = r#"{"a":1,"b":2,"meta":1}"#;
    assert_eq!(add(UnknownParams::Allow, other), Ok((1, 2)));
    assert_eq!(add(meta, other), Err("unknown parameter `meta`: it takes `a`, `b`".to_owned()));

    const NONE: MethodInfo = MethodInfo::request("m").with_unknown_params(UnknownParams::Allow);
    assert_eq!(said::<()>(&NONE, r#"{"_meta":{}}"#), Ok(()));
    const SUM: MethodInfo = MethodInfo::request("sum")
        .with_params(&[ParamInfo::new("all").rest()])
        .with_unknown_params(UnknownParams::Allow);
    assert_eq!(said::<(Vec<u8>,)>(&SUM, r#"{"_meta":{},"all":[1]}"#), Ok((vec![1],)));
    const PAGE: MethodInfo = MethodInfo::request("page")
        .with_params(&[ParamInfo::new("skip").with_default()])
        .with_unknown_params(UnknownParams::Allow);
    assert_eq!(said::<(OrDefault<u8>,)>(&PAGE, r#"{"_meta":{}}"#).map(|all| all.0.0), Ok(0));
}

fn said<P: DeserializeOwned>(method: &MethodInfo, params: &str) -> Result<P, String> {
    decode(method, RawParams::from_json(params).into()).map_err(|error| {
        let prefix = format!("invalid params for `{}`: ", method.name());
        error.message().strip_prefix(&prefix).expect("it names the method").to_owned()
    })
}

#[test]
fn a_default_stands_in_for_what_is_missing_and_for_nothing_else() {
    const PAGE: MethodInfo = MethodInfo::request("page")
        .with_params(&[ParamInfo::new("text"), ParamInfo::new("skip").with_default()]);
    let page =
        |params| said::<(String, OrDefault<u8>)>(&PAGE, params).map(|(text, OrDefault(skip))| (text, skip));
    for params in [r#"["x"]"#, r#"{"text":"x"}"#, r#"["x",0]"#, r#"{"skip":0,"text":"x"}"#] {
        assert_eq!(page(params), Ok(("x".to_owned(), 0)), "{params}");
    }
    assert_eq!(page(r#"["x",7]"#), Ok(("x".to_owned(), 7)));
    assert!(page(r#"["x",null]"#).is_err_and(|why| why.contains("`skip`")));
    assert!(page("[]").is_err_and(|why| why.contains("`text` is missing")));
}

#[test]
fn the_rest_takes_what_is_left_by_position_and_a_list_by_name() {
    const SUM: MethodInfo =
        MethodInfo::request("sum").with_params(&[ParamInfo::new("first"), ParamInfo::new("others").rest()]);
    let sum = |params| said::<(u8, Vec<u8>)>(&SUM, params);
    for (params, others) in [
        ("[1]", vec![]),
        ("[1,2]", vec![2]),
        ("[1,2,3]", vec![2, 3]),
        (r#"{"first":1}"#, vec![]),
        (r#"{"first":1,"others":[2,3]}"#, vec![2, 3]),
    ] {
        assert_eq!(sum(params), Ok((1, others)), "{params}");
    }
    for (params, why) in [
        // A list in the place of the rest is one of its values.
        ("[1,[2]]", "parameter 2 (`others`): invalid type: sequence, expected u8"),
        ("[1,2,300]", "parameter 3 (`others`): invalid value: integer `300`, expected u8"),
        ("[]", "too few: it takes at least 1 parameter, got 0; `first` is missing"),
        (
            r#"{"first":1,"others":2}"#,
            "parameter 2 (`others`): invalid type: integer `2`, expected a sequence",
        ),
    ] {
        assert_eq!(sum(params), Err(why.to_owned()), "{params}");
    }
}

#[test]
fn the_whole_is_whatever_was_given() {
    const WHOLE: MethodInfo = MethodInfo::request("m").with_params(&[ParamInfo::new("all").whole()]);
    assert_eq!(said::<Vec<u8>>(&WHOLE, "[1,2]"), Ok(vec![1, 2]));
    assert_eq!(said::<BTreeMap<String, u8>>(&WHOLE, r#"{"a":1}"#), Ok([("a".to_owned(), 1)].into()));
    assert_eq!(said::<Vec<u8>>(&WHOLE, "[1,true]"), Err("invalid type: boolean `true`, expected u8".into()));
    for nothing in ["null", "[]", "{}", "[ ]", "{\n}"] {
        assert_eq!(said::<Vec<u8>>(&WHOLE, nothing), Ok(vec![]), "{nothing}");
        assert_eq!(said::<BTreeMap<String, u8>>(&WHOLE, nothing), Ok([].into()), "{nothing}");
        assert_eq!(said::<Option<(u8,)>>(&WHOLE, nothing), Ok(None), "{nothing}");
        assert_eq!(said::<OrDefault<(u8,)>>(&WHOLE, nothing).map(|all| all.0), Ok((0,)), "{nothing}");
    }
    assert_eq!(said::<(u8,)>(&WHOLE, "null"), Err("they are missing".into()));
}

const AB: &[ParamInfo] = &[ParamInfo::new("a"), ParamInfo::new("b")];

fn names(unknown: UnknownParams, params: &str) -> Option<Vec<String>> {
    let method = MethodInfo::request("m").with_params(AB).with_unknown_params(unknown);
    let passed = passed(&method, UncheckedParams::from_text(params))?;
    Some(passed.iter().map(|(name, value)| format!("{name}={value}")).collect())
}

#[test]
fn what_passes_is_kept_in_order_and_what_is_the_methods_own_is_not() {
    let params = r#"{"_meta":{"x": 1},"a":1,"z":[2],"b":3}"#;
    let both = Some(vec![r#"_meta={"x": 1}"#.to_owned(), "z=[2]".to_owned()]);
    assert_eq!(names(UnknownParams::Allow, params), both);
    assert_eq!(names(UnknownParams::AllowNamed(&["z"]), params), Some(vec!["z=[2]".to_owned()]));
    assert_eq!(names(UnknownParams::Refuse, params), None);
    assert_eq!(names(UnknownParams::Allow, r#"{"\u005fmeta":1}"#), Some(vec!["_meta=1".to_owned()]));
}

#[test]
fn there_may_be_none() {
    for params in [r#"{"a":1,"b":2}"#, "{}", "[1,2]", "null", r#"{"z":"#] {
        assert_eq!(names(UnknownParams::Allow, params), None, "{params}");
    }
    let whole = MethodInfo::request("m")
        .with_params(const { &[ParamInfo::new("all").whole()] })
        .with_unknown_params(UnknownParams::Allow);
    assert!(passed(&whole, UncheckedParams::from_text(r#"{"z":1}"#)).is_none());
}
