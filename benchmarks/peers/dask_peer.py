"""Dask distributed: two worker processes (with as many threads as sleepers need), its map and gather."""
import peer

import distributed


def main():
    threads = max(1, peer.workers // 2)
    with distributed.LocalCluster(n_workers=2, threads_per_worker=threads, processes=True, dashboard_address=None) as cluster:
        with distributed.Client(cluster) as client:
            def run(tasks, _chunk):
                return client.gather(client.map(peer.FUNCTIONS[peer.work], range(tasks), pure=False))

            peer.serve(distributed.__version__, run)


if __name__ == "__main__":
    main()
