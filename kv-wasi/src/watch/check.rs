//! Whether a guest's functions for changes are as the host calls them. wasmtime tells it of an instance only, and takes a value
//! that is given for one that is lent.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{ResourceType, Type};

use crate::error::Error;
use crate::guest::Guest;
use crate::shape::split;
use crate::signature::Function;

/// The interface whose values are resources.
pub(super) const HANDLE_WATCH: &str = "handle-watch";

/// What a guest is handed.
#[derive(Clone, Copy)]
enum Given {
    Bucket,
    Key,
    Bytes,
    Value,
}

impl Guest {
    /// Tells without an instance whether [`watcher`](Self::watcher) finds what it looks for.
    ///
    /// # Errors
    ///
    /// As it has.
    pub fn check_watcher(&self) -> Result<(), Error> {
        self.checked_watcher().map(drop)
    }

    /// The name of the guest's interface for changes, if its functions are as the host calls them.
    pub(super) fn checked_watcher(&self) -> Result<&str, Error> {
        let interface = self.watcher_interface().ok_or_else(|| {
            Error::export(
                "it does not export wasi:keyvalue/watcher or wasi:keyvalue/handle-watch, by which it would hear of changes",
            )
        })?;
        let value = if has_resources(interface) { Given::Value } else { Given::Bytes };
        let called = [("on-set", &[Given::Bucket, Given::Key, value][..]), ("on-delete", &[Given::Bucket, Given::Key])];
        for (name, given) in called {
            let is_it = |function: &&Function| function.interface == interface && function.name == name;
            let Some(function) = self.exports().iter().find(is_it) else {
                return Err(Error::export(format!("its {interface} has no function {name}")));
            };
            if !self.takes(interface, name, given) {
                let signature = &function.signature;
                return Err(Error::export(format!(
                    "its {interface} is not as this host calls it: {name} is {signature}"
                )));
            }
        }
        Ok(interface)
    }

    /// Whether a function takes this, and gives nothing back.
    fn takes(&self, interface: &str, name: &str, given: &[Given]) -> bool {
        let (component, engine) = (self.component().component_type(), self.component().engine());
        let interface = component.get_export(engine, interface);
        let Some(ComponentItem::ComponentInstance(instance)) = interface.map(|item| item.ty) else { return false };
        let function = instance.get_export(engine, name);
        let Some(ComponentItem::ComponentFunc(function)) = function.map(|item| item.ty) else { return false };
        let fits = |ty: &Type, given: &Given| match (given, ty) {
            (Given::Bucket, Type::Own(ty)) => self.is_ours(*ty, "bucket"),
            (Given::Value, Type::Borrow(ty)) => self.is_ours(*ty, "incoming-value"),
            (Given::Bytes, Type::List(ty)) => matches!(ty.ty(), Type::U8),
            (Given::Key, Type::String) => true,
            _ => false,
        };
        let params: Vec<Type> = function.params().map(|(_, ty)| ty).collect();
        let is_plain = !function.async_() && function.results().len() == 0;
        is_plain && params.len() == given.len() && params.iter().zip(given).all(|(ty, given)| fits(ty, given))
    }

    /// Whether the guest has a resource from us under this name, and not one of its own.
    fn is_ours(&self, ty: ResourceType, name: &str) -> bool {
        let (component, engine) = (self.component().component_type(), self.component().engine());
        component.imports(engine).filter(|(import, _)| split(import).is_some()).any(|(_, item)| match item.ty {
            ComponentItem::ComponentInstance(instance) => {
                let found = instance.get_export(engine, name);
                matches!(found.map(|item| item.ty), Some(ComponentItem::Resource(own)) if own == ty)
            }
            _ => false,
        })
    }
}

/// By its own name, and not by what the guest imports: that may be several shapes, or one that has the other interface.
pub(super) fn has_resources(interface: &str) -> bool {
    matches!(split(interface), Some((HANDLE_WATCH, _)))
}
