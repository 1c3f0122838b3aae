use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

fn panic_of(play: impl FnOnce()) -> String {
    *catch_unwind(AssertUnwindSafe(play)).unwrap_err().downcast::<String>().unwrap()
}

fn call(script: &Script, method: &str, params: impl Serialize) {
    drop(Caller::call(script, Outgoing::new(method, &params).unwrap()));
}

#[test]
fn whatever_departs_from_the_script_says_what_was_expected() {
    let script = || Script::new().expect("add", (1, 2)).returns(3).expect_notification("log", ());
    assert_eq!(
        panic_of(|| call(&script(), "sub", (1, 2))),
        "the script expects add [1,2], and sub [1,2] came"
    );
    assert_eq!(
        panic_of(|| call(&script(), "add", (2, 1))),
        "the script expects add [1,2], and add [2,1] came"
    );
    let begun = script();
    call(&begun, "add", (1, 2));
    assert_eq!(
        panic_of(|| begun.finish()),
        "the script expects more: the notification log without parameters"
    );
    assert_eq!(
        panic_of(|| call(&begun, "log", ())),
        "the script expects the notification log without parameters, and log without parameters came"
    );
    assert_eq!(panic_of(|| call(&begun, "add", (1, 2))), "the script has ended, and add [1,2] came");
}

#[test]
fn parameters_may_be_left_open() {
    let script = Script::new().expect_any("add").returns(3);
    call(&script, "add", (40, 2));
    script.finish();
}
