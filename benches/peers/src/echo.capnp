@0xa7c3e1f05b92d846;

interface Echo {
  call @0 (payload :Data) -> (payload :Data);
}
