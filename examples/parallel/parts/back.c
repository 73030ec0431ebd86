#include <stdio.h>
int main(void) { puts("back, first edition"); return 0; }
