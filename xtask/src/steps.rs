use std::process::Command;
use std::time::{Duration, Instant};

use crate::Result;

/// Runs steps one after another, says what each does and how long it took, and sums up.
pub(crate) struct Steps {
    done: Vec<Done>,
    began: Instant,
}

struct Done {
    name: &'static str,
    took: Duration,
    fault: Option<String>,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self { done: Vec::new(), began: Instant::now() }
    }

    /// Runs one step. A failed one does not keep the next from running, so that one run shows every fault.
    pub(crate) fn step(&mut self, name: &'static str, work: impl FnOnce() -> Result) {
        println!("\n== step {}: {name}", self.done.len() + 1);
        let began = Instant::now();
        let fault = work().err().map(|error| error.to_string());
        let took = began.elapsed();
        match &fault {
            None => println!("== {name}: passed in {:.1} s", took.as_secs_f64()),
            Some(fault) => println!("== {name}: FAILED in {:.1} s: {fault}", took.as_secs_f64()),
        }
        self.done.push(Done { name, took, fault });
    }

    /// Prints the summary and fails if a step did.
    pub(crate) fn finish(self) -> Result {
        println!("\n== summary");
        for done in &self.done {
            let word = if done.fault.is_some() { "FAILED" } else { "passed" };
            println!("{word}  {:<28}{:>7.1} s", done.name, done.took.as_secs_f64());
        }
        let failed = self.done.iter().filter(|done| done.fault.is_some()).count();
        let passed = self.done.len() - failed;
        println!("steps: {passed} passed, {failed} failed, in {:.0} s", self.began.elapsed().as_secs_f64());
        if failed > 0 || passed == 0 {
            return Err(format!("{failed} of {} steps failed", self.done.len()).into());
        }
        Ok(())
    }
}

/// Shows a command, runs it with this process's output, and fails if it does.
pub(crate) fn run(command: &mut Command) -> Result {
    println!("$ {}", shown(command));
    let status = command.status().map_err(|cause| format!("{} can't be started: {cause}", shown(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{} ended with {status}", shown(command)).into()) }
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let mut text = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    for arg in command.get_args() {
        text.push(' ');
        text.push_str(&arg.to_string_lossy());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_step_fails_the_whole_and_the_next_still_runs() {
        let mut steps = Steps::new();
        let mut ran = false;
        steps.step("bad", || Err("broken".into()));
        steps.step("good", || {
            ran = true;
            Ok(())
        });
        assert!(ran);
        assert_eq!(steps.finish().unwrap_err().to_string(), "1 of 2 steps failed");
    }

    #[test]
    fn no_steps_at_all_are_no_success() {
        assert!(Steps::new().finish().is_err());
    }

    #[test]
    fn a_command_that_fails_is_told_with_its_arguments() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err().to_string();
        assert!(error.contains("sh -c exit 3 ended with") && error.contains('3'), "{error}");
        assert!(run(&mut Command::new("no-such-command-anywhere")).is_err());
    }
}
