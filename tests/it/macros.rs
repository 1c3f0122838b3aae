//! The macros, as their users see them: what compiles, what is reported, and what it does when it runs.

mod behaviour;
mod calls;
mod conditions;
mod generics;
mod lists;
mod names;
mod params;
mod recorder;
mod replies;
mod shapes;
mod subscriptions;

/// Each file's mistakes are all reported, each at its token, and nothing else is. `TRYBUILD=overwrite` accepts what is
/// reported now.
#[test]
fn mistakes_are_reported_where_they_are() {
    trybuild::TestCases::new().compile_fail("ui/*.rs");
}
