"""mpi4py.futures under mpirun: rank 0 submits, the others work."""
import peer

import mpi4py
import mpi4py.futures

if __name__ == "__main__":
    with mpi4py.futures.MPIPoolExecutor() as executor:
        peer.serve(mpi4py.__version__, lambda tasks, chunk: executor.map(peer.FUNCTIONS[peer.work], range(tasks), chunksize=chunk))
