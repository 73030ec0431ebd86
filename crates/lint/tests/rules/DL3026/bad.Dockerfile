FROM example.com/app:1
