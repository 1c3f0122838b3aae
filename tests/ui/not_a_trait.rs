//! The attribute on something else. That stays usable.

use rpc::rpc_service;

#[rpc_service]
struct Calc;

trait Other {
    fn value(&self) -> u8;
}

#[rpc_service]
impl Other for Calc {
    fn value(&self) -> u8 {
        1
    }
}

#[rpc_service]
async fn add(a: i64, b: i64) -> i64 {
    a + b
}

fn main() {
    Calc.value();
    let _ = add(1, 2);
}
