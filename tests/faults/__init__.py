"""The fault suite: real processes, real servers, faults at seeded instants, and an exact reckoning afterwards.

plan        what happens when (pure)            proxy       TCP connections that can be cut
traffic     what is sent (pure)                 producer    sends it and knows what was acknowledged
servers     broker and database, killed and     workers     the product's processes, killed, frozen,
            brought back                                    added and removed
disk        a small disk that fills up          faults_*    one function for each kind of fault
progress    stored offsets over time, recovery  judge       the tables beside a single pass over the topic
arena       where it all takes place            run         one seed from beginning to verdict

`python -m tests.faults --help` is the command line.
"""
