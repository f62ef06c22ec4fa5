use kv::Result;

#[tokio::main]
async fn main() -> Result<()> {
    let store = kv::open("sled:./kv-data?durability=power").await?;
    let visits = store.open_bucket("visits").await?;
    visits.set("last", "ann").await?;
    let total = visits.increment("total", 1).await?;
    let last = visits.get("last").await?.unwrap_or_default();
    println!("visit {total}, last by {}", last.escape_ascii());
    store.close().await
}
