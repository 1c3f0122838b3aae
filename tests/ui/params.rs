//! What a parameter cannot be.

use std::borrow::Cow;

use rpc::rpc_service;

pub struct Point {
    x: u8,
}

#[rpc_service]
pub trait Calc {
    async fn tuple(&self, (a, b): (u8, u8));
    async fn fields(&self, Point { x }: Point);
    async fn mutable(&self, mut a: u8);
    async fn unnamed(&self, _: u8);
    async fn exclusive(&self, a: &mut u8);
    async fn any(&self, a: impl Into<String>);
    async fn object(&self, a: &dyn Send, b: Option<&dyn Send>);
    async fn any_lent(&self, a: &impl AsRef<str>);
    async fn forever(&self, a: &'static str);
    async fn within(&self, a: Vec<&str>, b: &[&[&str]], c: Option<&mut str>, d: Option<&Option<&str>>);
    async fn within_a_list(&self, a: &[&mut str], b: &[&'static str], c: &mut [&str], d: Option<&[&dyn Send]>);
    async fn forever_within(&self, a: Option<&'static str>);
    async fn this(&self, other: &Self);
    async fn sometimes(&self, #[cfg_attr(all(), cfg(all()))] a: u8);
    async fn right(&self, a: &str, b: &[u8], c: Cow<'_, str>, d: fn(&str) -> &str);
    async fn right_too(&self, a: Option<&str>, #[cfg(any())] b: Missing, #[rpc(name = "c")] _: u8);
    async fn body(&self, (a, b): (u8, u8)) -> u8 {
        a + b
    }
}

struct MyCalc;

impl Calc for MyCalc {
    async fn tuple(&self, (_, _): (u8, u8)) {}
    async fn fields(&self, Point { x: _ }: Point) {}
    async fn mutable(&self, mut a: u8) {
        a += 1;
        let _ = a;
    }
    async fn unnamed(&self, _: u8) {}
    async fn exclusive(&self, a: &mut u8) {
        *a = 1;
    }
    async fn any(&self, _: impl Into<String>) {}
    async fn object(&self, _: &dyn Send, _: Option<&dyn Send>) {}
    async fn any_lent(&self, _: &impl AsRef<str>) {}
    async fn forever(&self, _: &'static str) {}
    async fn within(&self, _: Vec<&str>, _: &[&[&str]], _: Option<&mut str>, _: Option<&Option<&str>>) {}
    async fn within_a_list(&self, _: &[&mut str], _: &[&'static str], _: &mut [&str], _: Option<&[&dyn Send]>) {}
    async fn forever_within(&self, _: Option<&'static str>) {}
    async fn this(&self, _: &Self) {}
    async fn sometimes(&self, _: u8) {}
    async fn right(&self, _: &str, _: &[u8], _: Cow<'_, str>, _: fn(&str) -> &str) {}
    async fn right_too(&self, _: Option<&str>, _: u8) {}
}

async fn run(calc: CalcClient) {
    let _ = calc.tuple((1, 2)).await;
    let _ = calc.mutable(1).await;
    let _ = calc.exclusive(&mut 1).await;
    let _ = calc.any("a").await;
    let _ = calc.forever("a").await;
    let _ = calc.within(vec!["a"], &[&["b"]], None, None).await;
    let _ = calc.right_too(Some("a"), 1).await;
    let _ = calc.body((1, 2)).await;
}

fn main() {
    let _ = CalcServer::new(MyCalc);
    let _ = run;
}
