//! What jsonrpsee's server serves, and how our clients see it.

use jsonrpsee::{RpcModule, types::ErrorObjectOwned};
use rpc::RpcError;

#[derive(Debug, PartialEq, thiserror::Error, RpcError)]
pub enum DivError {
    #[error("division by zero")]
    #[rpc(code = 7)]
    ByZero { dividend: i64 },
}

/// `add`, `div` and `repeat`.
pub fn calculator() -> RpcModule<()> {
    let mut module = RpcModule::new(());
    module
        .register_method("add", |params, _, _| {
            let (a, b): (i64, i64) = params.parse()?;
            Ok::<_, ErrorObjectOwned>(a + b)
        })
        .unwrap();
    module
        .register_method("div", |params, _, _| {
            let (a, b): (i64, i64) = params.parse()?;
            let by_zero = || {
                let data = serde_json::json!({ "dividend": a });
                ErrorObjectOwned::owned(7, "division by zero", Some(data))
            };
            a.checked_div(b).ok_or_else(by_zero)
        })
        .unwrap();
    module
        .register_method("repeat", |params, _, _| {
            let (text, times): (String, usize) = params.parse()?;
            Ok::<_, ErrorObjectOwned>(text.repeat(times))
        })
        .unwrap();
    module
}
