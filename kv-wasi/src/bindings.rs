//! What `bindgen!` makes of the shapes' WIT. Each shape has traits of its own, so that a linker can hold several of them; only the
//! last two have the same names there.
#![allow(missing_docs, unreachable_pub, clippy::expect_used, clippy::indexing_slicing, clippy::unwrap_used)]

/// `wasi:keyvalue` without a version, as Golem had it until January 2024.
pub mod golem_2023 {
    wasmtime::component::bindgen!({
        path: "wit/golem-2023",
        inline: "package kv:host; world host {
            import wasi:keyvalue/readwrite; import wasi:keyvalue/batch; import wasi:keyvalue/atomic;
        }",
        world: "kv:host/host",
        imports: {
            "wasi:keyvalue/types.[static]bucket.open-bucket": async | trappable,
            "wasi:keyvalue/types.[method]outgoing-value.outgoing-value-write-body-sync": async | trappable,
            "wasi:keyvalue/readwrite": async | trappable,
            "wasi:keyvalue/batch": async | trappable,
            "wasi:keyvalue/atomic": async | trappable,
            default: trappable,
        },
        with: {
            "wasi:io": wasmtime_wasi_io::bindings::wasi::io,
            "wasi:keyvalue/wasi-cloud-error.error": crate::resources::ErrorText,
            "wasi:keyvalue/types.bucket": crate::resources::OpenBucket,
            "wasi:keyvalue/types.outgoing-value": crate::resources::Outgoing,
            "wasi:keyvalue/types.incoming-value": crate::resources::Incoming,
        },
    });
}

/// `wasi:keyvalue@0.1.0`, Golem's stable line.
pub mod v0_1_0 {
    wasmtime::component::bindgen!({
        path: "wit/0.1.0",
        inline: "package kv:host; world host {
            import wasi:keyvalue/eventual@0.1.0; import wasi:keyvalue/eventual-batch@0.1.0;
            import wasi:keyvalue/atomic@0.1.0; import wasi:keyvalue/cache@0.1.0;
        }",
        world: "kv:host/host",
        imports: {
            "wasi:keyvalue/types.[static]bucket.open-bucket": async | trappable,
            "wasi:keyvalue/types.[method]outgoing-value.outgoing-value-write-body-sync": async | trappable,
            "wasi:keyvalue/eventual": async | trappable,
            "wasi:keyvalue/eventual-batch": async | trappable,
            "wasi:keyvalue/atomic": async | trappable,
            default: trappable,
        },
        with: {
            "wasi:io": wasmtime_wasi_io::bindings::wasi::io,
            "wasi:keyvalue/wasi-keyvalue-error.error": crate::resources::ErrorText,
            "wasi:keyvalue/types.bucket": crate::resources::OpenBucket,
            "wasi:keyvalue/types.outgoing-value": crate::resources::Outgoing,
            "wasi:keyvalue/types.incoming-value": crate::resources::Incoming,
            "wasi:keyvalue/cache.future-get-result": crate::resources::FutureGet,
            "wasi:keyvalue/cache.future-exists-result": crate::resources::FutureExists,
            "wasi:keyvalue/cache.future-result": crate::resources::FutureDone,
            "wasi:keyvalue/cache.future-get-or-set-result": crate::resources::FutureGetOrSet,
            "wasi:keyvalue/cache.vacancy": crate::resources::Vacant,
        },
    });
}

macro_rules! store_shape {
    ($(#[$doc:meta])* $name:ident, $path:literal, $version:literal, $own:tt, $with:tt) => {
        $(#[$doc])*
        pub mod $name {
            store_shape!(@bindgen $path, $version, $own, $with);
        }
    };
    (@bindgen $path:literal, $version:literal, {$($own:tt)*}, {$($with:tt)*}) => {
        wasmtime::component::bindgen!({
            path: $path,
            world: $version,
            imports: {
                "wasi:keyvalue/store.[drop]bucket": trappable,
                $($own)*
                default: async | trappable,
            },
                with: {
                "wasi:keyvalue/store.bucket": crate::resources::OpenBucket,
                $($with)*
            },
            trappable_error_type: { "wasi:keyvalue/store.error" => crate::fail::Fail },
        });
    };
}

store_shape!(
    /// `0.2.0-draft`: wasmtime's, wasmCloud's, and most guests' in the wild.
    draft, "wit/0.2.0-draft", "wasi:keyvalue/imports@0.2.0-draft", {}, {}
);
store_shape!(
    /// `0.2.0-draft2`, the proposal's main line until 2026.
    draft2, "wit/0.2.0-draft2", "wasi:keyvalue/imports@0.2.0-draft2",
    { "wasi:keyvalue/atomics.[drop]cas": trappable, "wasi:keyvalue/atomics.[method]cas.current": trappable, },
    { "wasi:keyvalue/atomics.cas": crate::resources::CasHandle, }
);
store_shape!(
    /// `0.2.0-draft2` as Spin has it, and the proposal since August 2026: only `get-many` differs.
    spin, "wit/0.2.0-draft2-spin", "wasi:keyvalue/imports@0.2.0-draft2",
    { "wasi:keyvalue/atomics.[drop]cas": trappable, "wasi:keyvalue/atomics.[method]cas.current": trappable, },
    { "wasi:keyvalue/atomics.cas": crate::resources::CasHandle, }
);
