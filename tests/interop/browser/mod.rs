//! A page in Chromium, with the client in JavaScript of the example `axum`: at home in the application that serves it, and from elsewhere.

mod app;
mod calls;
mod chromium;
#[path = "../../../examples/axum/app.rs"]
mod example;
mod origins;

pub(crate) use self::{app::App, chromium::Chromium};
