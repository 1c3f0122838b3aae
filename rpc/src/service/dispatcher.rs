//! Finds the service that has a method.

use std::{collections::hash_map::Entry, sync::Arc};

use rustc_hash::FxHashMap;

use super::{Pace, Service};
use crate::jsonrpc::MethodInfo;

/// Which service has which method. Shared by all sessions that have the same services.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// The names are the server's own: nobody can choose them to collide, and a quick hash will do.
    routes: FxHashMap<&'static str, Route>,
    services: usize,
}

#[derive(Debug)]
struct Route {
    service: usize,
    method: usize,
    info: MethodInfo,
    owner: &'static str,
    pace: Pace,
}

/// A method, and the service that has it.
pub(crate) struct Found<'a> {
    pub(crate) service: &'a dyn Service,
    /// The method's index in the service.
    pub(crate) method: usize,
    pub(crate) info: &'a MethodInfo,
    pub(crate) pace: &'a Pace,
}

/// Two services have a method of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Duplicate {
    pub(crate) method: &'static str,
    pub(crate) first: &'static str,
    pub(crate) second: &'static str,
}

impl Table {
    pub(crate) fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// Adds the methods of one more service, whose type is called `owner`.
    pub(crate) fn add(&mut self, methods: &[MethodInfo], owner: &'static str) -> Result<(), Duplicate> {
        let service = self.services;
        self.services += 1;
        for (method, info) in methods.iter().enumerate() {
            for &name in [info.name()].iter().chain(info.aliases()) {
                match self.routes.entry(name) {
                    Entry::Occupied(taken) => {
                        return Err(Duplicate { method: name, first: taken.get().owner, second: owner });
                    }
                    Entry::Vacant(free) => {
                        free.insert(Route { service, method, info: *info, owner, pace: Pace::new() })
                    }
                };
            }
        }
        Ok(())
    }
}

/// The services of one session.
#[derive(Clone)]
pub(crate) struct Dispatcher {
    table: Arc<Table>,
    services: Arc<[Arc<dyn Service>]>,
}

impl Dispatcher {
    /// `services` are those that were added to the table, in the same order.
    pub(crate) fn new(table: Arc<Table>, services: Arc<[Arc<dyn Service>]>) -> Self {
        debug_assert_eq!(table.services, services.len(), "a table and its services differ");
        Self { table, services }
    }

    pub(crate) fn find(&self, method: &str) -> Option<Found<'_>> {
        let route = self.table.routes.get(method)?;
        let service = &*self.services[route.service];
        Some(Found { service, method: route.method, info: &route.info, pace: &route.pace })
    }

    /// A read took long: any of the methods may be why.
    #[cold]
    pub(crate) fn suspect(&self) {
        self.table.routes.values().for_each(|route| route.pace.suspect());
    }
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatcher").field("table", &self.table).finish_non_exhaustive()
    }
}
