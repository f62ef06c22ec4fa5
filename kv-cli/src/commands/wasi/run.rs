//! `kv run`.

use wasmtime_wasi::I32Exit;
use wasmtime_wasi::p2::bindings::CommandPre;

use super::RunArgs;
use super::call;
use super::engine::Running;
use super::http::Outgoing;
use super::policy::Granted;
use super::program::{Program, trapped, wasi};
use crate::exit::{Ended, Failure, Verdict};
use crate::session::Session;

pub(crate) async fn run(args: RunArgs, session: &mut Session) -> Ended {
    let granted = Granted::open(&args.which, session.url()).await?;
    let ended = run_on(&args, &granted, session).await;
    granted.close().await?;
    ended
}

async fn run_on(args: &RunArgs, granted: &Granted, session: &mut Session) -> Ended {
    let program = Program::load(Running::plain()?, &args.which, granted)?;
    let work = async {
        match &args.invoke {
            Some(text) => call::invoke(&program, &args.which, text, session).await,
            None => command(&program, args).await,
        }
    };
    match args.timeout {
        None => work.await,
        Some(time) => match tokio::time::timeout(time, work).await {
            Ok(ended) => ended,
            Err(_) => {
                let time = humantime::format_duration(time);
                Err(Failure::other(format!("the program did not end within {time}, and was ended"))
                    .within(&program.shown))
            }
        },
    }
}

/// Runs `wasi:cli/run`.
async fn command(program: &Program, args: &RunArgs) -> Ended {
    let pre = CommandPre::new(program.pre.clone()).map_err(|cause| {
        let names: Vec<String> = call::names(&program.guest).collect();
        let text = if program.exports("wasi:cli/run@0.2.") {
            format!("its wasi:cli/run is not as this host calls it: {}", cause.root_cause())
        } else {
            let names = names.join(", ");
            format!("it does not export wasi:cli/run of 0.2, so it is no command; --invoke calls one of: {names}")
        };
        Failure::data(text).within(&program.shown)
    })?;
    let name = args.which.guest.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut wasi = wasi(&args.which)?;
    wasi.inherit_stdio().args(&[&[name], &args.arguments[..]].concat());
    let mut store = program.store(wasi.build(), Outgoing::none());
    let command = pre.instantiate_async(&mut store).await.map_err(|cause| trapped(&cause))?;
    match command.wasi_cli_run().call_run(&mut store).await {
        Ok(Ok(())) => Ok(Verdict::Yes),
        Ok(Err(())) => Ok(Verdict::No),
        Err(cause) => match cause.downcast_ref::<I32Exit>() {
            Some(exit) => Ok(Verdict::Code(u8::try_from(exit.0).unwrap_or(u8::MAX))),
            None => Err(trapped(&cause).within(&program.shown)),
        },
    }
}
