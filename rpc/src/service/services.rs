//! The services that sessions are given: shared ones, and ones that are made for each session.

use std::{any::type_name, fmt, sync::Arc};

use super::{DuplicateMethod, Routes, Service, Table};
use crate::session::Session;

type Factory = Arc<dyn Fn(&Session) -> Arc<dyn Service> + Send + Sync>;

/// What is served, before it is known to whom. Clones serve the same values.
#[derive(Clone, Default)]
pub(crate) struct Services {
    shared: Vec<Named<Arc<dyn Service>>>,
    factories: Vec<Named<Factory>>,
    /// The methods that are known before there is a session.
    table: Table,
    duplicate: Option<DuplicateMethod>,
}

#[derive(Clone)]
struct Named<T> {
    name: &'static str,
    value: T,
}

impl Services {
    pub(crate) fn add_shared<S: Service>(&mut self, service: S) {
        let name = type_name::<S>();
        self.check(|table| table.add(service.methods(), name));
        self.shared.push(Named { name, value: Arc::new(service) });
    }

    pub(crate) fn add_factory<S: Service>(&mut self, make: impl Fn(&Session) -> S + Send + Sync + 'static) {
        let name = type_name::<S>();
        self.check(|table| table.add(S::declared(), name));
        let value: Factory = Arc::new(move |session| Arc::new(make(session)));
        self.factories.push(Named { name, value });
    }

    fn check(&mut self, add: impl FnOnce(&mut Table) -> Result<(), DuplicateMethod>) {
        if let (None, Err(duplicate)) = (&self.duplicate, add(&mut self.table)) {
            self.duplicate = Some(duplicate);
        }
    }

    /// Refuses methods that are served twice.
    pub(crate) fn build(self) -> Result<BuiltServices, DuplicateMethod> {
        match self.duplicate {
            Some(duplicate) => Err(duplicate),
            None => Ok(BuiltServices {
                table: Arc::new(self.table),
                names: self.shared.iter().map(|shared| shared.name).collect(),
                shared: self.shared.into_iter().map(|shared| shared.value).collect(),
                factories: self.factories,
            }),
        }
    }
}

/// Services that do not claim each other's names.
pub(crate) struct BuiltServices {
    /// Of the shared ones, where there are no others.
    table: Arc<Table>,
    names: Vec<&'static str>,
    shared: Arc<[Arc<dyn Service>]>,
    factories: Vec<Named<Factory>>,
}

impl BuiltServices {
    /// Whether there is anything that a peer could call.
    pub(crate) fn serve(&self) -> bool {
        !self.table.is_empty() || !self.factories.is_empty()
    }

    /// Whether a session has to be there to make some of them.
    pub(crate) const fn need_session(&self) -> bool {
        !self.factories.is_empty()
    }

    /// The services that need no session.
    pub(crate) fn shared(&self) -> Routes {
        Routes::new(Arc::clone(&self.table), Arc::clone(&self.shared))
    }

    /// The services for one session.
    pub(crate) fn for_session(&self, session: &Session) -> Routes {
        if !self.need_session() {
            return self.shared();
        }
        let mut table = Table::default();
        let mut services: Vec<_> = self.shared.to_vec();
        services.extend(self.factories.iter().map(|factory| (factory.value)(session)));
        let names = self.names.iter().copied().chain(self.factories.iter().map(|factory| factory.name));
        for (service, name) in services.iter().zip(names) {
            // Only a service whose methods are known at run time alone can still be in the way.
            if let Err(duplicate) = table.add(service.methods(), name) {
                tracing::error!(
                    method = duplicate.method,
                    first = duplicate.first,
                    second = duplicate.second,
                    "a method is served twice: the first one is used"
                );
            }
        }
        Routes::new(Arc::new(table), services.into())
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("table", &self.table).finish_non_exhaustive()
    }
}

impl fmt::Debug for BuiltServices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("table", &self.table).finish_non_exhaustive()
    }
}
