//! All versions of ours with all versions of Python's: [`pairs`] says which can talk, the rest is what they say.

mod batches;
mod calls;
mod ids;
mod link;
mod pairs;
mod sizes;
mod strangers;
mod subscriptions;
mod text_errors;
mod undecided;
