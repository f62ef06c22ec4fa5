use kv_wasi::Shape;

use crate::on;

/// What each exerciser shows on a store in memory is kept beside the guests; other stores are held to the same lines.
async fn tour(name: &str, shape: Shape) {
    let store = kv_memory::open_named("").unwrap();
    let program = on(name, &store);
    assert_eq!(program.guest.shapes(), [shape]);
    let mut running = program.start().await;
    let (lines,): (Vec<String>,) = running.call("kv:guests/tour#run", ("tour",)).await.unwrap();
    let place = crate::run::path(name).with_extension("txt");
    if std::env::var_os("KV_WRITE_TOURS").is_some() {
        std::fs::write(place, lines.join("\n") + "\n").unwrap();
        return;
    }
    assert_eq!(lines.join("\n") + "\n", std::fs::read_to_string(place).unwrap());
    assert_eq!(store.buckets().await.unwrap(), Vec::<String>::new(), "it leaves nothing behind");
}

#[tokio::test]
async fn golem_2023() {
    tour("exerciser-2023", Shape::Golem2023).await;
}

#[tokio::test]
async fn v0_1_0() {
    tour("exerciser-0.1.0", Shape::V0_1_0).await;
}

#[tokio::test]
async fn draft() {
    tour("exerciser-draft", Shape::Draft).await;
}

#[tokio::test]
async fn draft2() {
    tour("exerciser-draft2", Shape::Draft2).await;
}

#[tokio::test]
async fn spin() {
    tour("exerciser-spin", Shape::Spin).await;
}
