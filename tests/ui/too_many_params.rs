//! Sixteen parameters can be decoded. A context is none of them.

use rpc::{Context, rpc_service};

#[rpc_service]
pub trait Calc {
    async fn most(
        &self, #[rpc(context)] cx: &Context, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8,
        k: u8, l: u8, m: u8, n: u8, o: u8, p: u8,
    );
    async fn more(
        &self, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8, m: u8, n: u8, o: u8,
        p: u8, q: u8, r: u8,
    );
}

fn main() {}
