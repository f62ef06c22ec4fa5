//! `kv run`.

use wasmtime_wasi::p2::bindings::CommandPre;

use super::args::RunArgs;
use super::call::Call;
use super::engine::Running;
use super::exports;
use super::http::Outgoing;
use super::policy::Rules;
use super::program::{Program, ended, wasi, with_refusal};
use crate::exit::{Ended, Failure, Verdict};
use crate::session::Session;

pub(super) async fn run(args: RunArgs, session: &mut Session) -> Ended {
    let mut program = Program::load(Running::plain, &args.which)?;
    let call = args.invoke.as_deref().map(|text| Call::parse(text, &program.guest)).transpose();
    let call = call.map_err(|failure| failure.within(&program.shown))?;
    let granted = program.grant(Rules::read(&args.which)?, session.url()).await?;
    let ended = run_on(&program, &args, call.as_ref(), session).await;
    // A signal ends the whole process here.
    program.close(granted, ended, std::future::pending()).await
}

async fn run_on(program: &Program, args: &RunArgs, call: Option<&Call>, session: &mut Session) -> Ended {
    let work = async {
        match call {
            Some(call) => call.invoke(program, &args.which, session).await,
            None => command(program, args).await,
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
        let text = if exports::has_wasi(&program.guest, "wasi:cli/run") {
            format!("its wasi:cli/run is not as this host calls it: {}", cause.root_cause())
        } else {
            let known = exports::known(&program.guest);
            format!("it does not export wasi:cli/run of 0.2, so it is no command; for --invoke {known}")
        };
        Failure::data(text).within(&program.shown)
    })?;
    let name = args.which.guest.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut wasi = wasi(&args.which)?;
    wasi.inherit_stdio().args(&[&[name], &args.arguments[..]].concat());
    let mut store = program.store(wasi.build(), Outgoing::none());
    let failed = |cause: &wasmtime::Error| ended(cause).map_err(|failure| failure.within(&program.shown));
    let command = match pre.instantiate_async(&mut store).await {
        Ok(command) => command,
        Err(cause) => return failed(&cause),
    };
    match command.wasi_cli_run().call_run(&mut store).await {
        Ok(Ok(())) => Ok(Verdict::Yes),
        Ok(Err(())) => Ok(Verdict::No),
        Err(cause) => with_refusal(failed(&cause), &store),
    }
}
